"""Settings of the decode stage, and the key of their stores."""

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from tasks.errors import SettingError
from tasks.keys import fingerprint

#: Increase this when the pixels or bytes that are stored for a photo change.
CODE_VERSION = 1

Resampling = Literal["bicubic", "bilinear", "lanczos"]
Encoding = Literal["jpeg", "png"]
Crop = Literal["centre", "stretch"]


@dataclass(frozen=True)
class DecodeSettings:
    """How photos are decoded.

    Raises:
        SettingError: A value is invalid.
    """

    size: int  #: Height and width of the stored square, in pixels.
    resize: int  #: Pixels of the photo's short side before the square is cropped from its centre; at least `size`.
    resampling: Resampling = "bicubic"  #: Filter, always antialiased.
    encoding: Encoding = "jpeg"  #: `jpeg` is quality 95 without chroma subsampling; `png` is lossless.
    #: `centre` keeps proportions and crops to the square; `stretch` squeezes the whole photo into the square, as the
    #: networks of 2015 expect.
    crop: Crop = "centre"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SettingError(f"Pictures of {self.size} pixels cannot be: give a size of 1 or more.")
        if self.resize < self.size:
            raise SettingError(
                f"A square of {self.size} pixels cannot be cropped from a photo whose short side is {self.resize}: "
                f"give a resize of {self.size} or more."
            )
        for name, choices in (("resampling", Resampling), ("encoding", Encoding), ("crop", Crop)):
            value, known = getattr(self, name), get_args(choices)
            if value not in known:
                raise SettingError(f"There is no {name} {value!r}. Known are {', '.join(known)}.")

    def ingredients(self) -> dict[str, object]:
        """Return all that determines the stored bytes: the settings and the code version."""
        return {**asdict(self), "code_version": CODE_VERSION}

    @property
    def key(self) -> str:
        """Key of the stores."""
        return fingerprint(self.ingredients())

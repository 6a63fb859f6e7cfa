"""One cell of a comparison, as a value with a key."""

from dataclasses import asdict, dataclass
from typing import Literal

from tasks.backbone.backbones import Backbone
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint

#: Raised when the same settings give other results.
CODE_VERSION = 3

Way = Literal["head", "scratch", "finetune"]
#: What each way is, for people.
WAYS: dict[Way, str] = {
    "head": "head on frozen bottlenecks",
    "scratch": "whole network from random weights",
    "finetune": "whole network from pretrained weights",
}
#: Photos a label where all of them are taken.
ALL = 0


@dataclass(frozen=True)
class CellSettings:
    """One way to train, on so many photos of each label.

    Args:
        way: Which way.
        photos_per_label: Training photos of each label, as far as it has them; 0 takes all.
        seed: Of the photos that are drawn, and of everything that the training draws.
        backbone: The network.
        encoding: How its pictures are stored.
        epochs: Passes over the training photos, of the whole network; few photos get more, see `LEAST_PASSES`.
        seconds: What training may take, of the whole network; None is no limit.
    """

    way: Way
    photos_per_label: int
    seed: int
    backbone: Backbone
    encoding: Encoding
    epochs: int
    seconds: float | None

    @property
    def decode(self) -> DecodeSettings:
        """How photos become pictures."""
        return self.backbone.decode(self.encoding)

    def key(self, snapshot: str) -> str:
        """Key of the cell on a snapshot; a head knows neither epochs nor a limit."""
        ingredients = asdict(self)
        if self.way == "head":
            del ingredients["epochs"], ingredients["seconds"]
        return fingerprint(
            {**ingredients, "decode": self.decode.key, "snapshot": snapshot, "code_version": CODE_VERSION}
        )

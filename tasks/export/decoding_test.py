"""The test of the formats that decode photos, whose result holds for many heads.

These formats differ from the pipeline in the way they decode some files, whatever the numbers of the head are. Running
them needs TensorFlow. So the result of a test is kept with the template, and holds until new photos could change it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.export.formats import SAVED_MODEL
from tasks.export.parity import allowed_disagreements
from tasks.export.photos import ReferencePhotos, read_kinds
from tasks.paths import AnyPath
from tasks.storage.files import publish_json, read_json

_FILE = "decoding.json"
#: Kinds of files that every program decodes alike.
_PLAIN = {f"{format_} {mode}" for format_ in ("JPEG", "PNG") for mode in ("L", "RGB")}


@dataclass(frozen=True)
class DecodingTest:
    """A test of the formats that decode photos."""

    model: str  #: Key of the model whose export was tested.
    tested: Mapping[str, str]  #: Kinds of the tested files, by the photos' keys; see `kind_of_file`.
    untested: Mapping[str, str]  #: Kinds of files of later test photos.
    figures: Mapping[str, Mapping[str, Any]]  #: Figures of each format by its name; see `tasks.export.parity`.
    left_out: Mapping[str, int]  #: Photos that could not be tested, by reason.
    converted: int  #: Photos that were converted to PNG.

    def holds_for(self, photos: int) -> bool:
        """Whether a test of a number of photos, with the untested ones among them, could not end otherwise.

        It could if there is a kind of file that was not tested, if there are as many untested files of other than plain
        kinds as would be refused were they all predicted differently, or if plain files have doubled.
        """
        new = list(self.untested.values())
        others = sum(kind not in _PLAIN for kind in new)
        known = max(figures["disagreements"] for figures in self.figures.values())
        return (
            set(new) <= set(self.tested.values())
            and (not others or known + others <= allowed_disagreements(photos, SAVED_MODEL.bar))
            and len(new) - others <= len(self.tested)
        )


def read_last_test(place: AnyPath, photos: ReferencePhotos, folder: AnyPath) -> DecodingTest | None:
    """Read the last test from the folder of a template; None if there is none, or it does not hold for these photos.

    The kinds of photos that were not test photos before are read from their files in a folder, and kept.
    """
    try:
        last = DecodingTest(**read_json(place / _FILE))
    except FileNotFoundError:
        return None
    indices = [index for index, key in enumerate(photos.keys) if key not in last.tested and key not in last.untested]
    new = read_kinds(photos.take(indices), folder)
    test = DecodingTest(**{**asdict(last), "untested": {**last.untested, **new}})
    if not test.holds_for(len(photos)):
        return None
    if new:
        publish_test(place, test)
    return test


def publish_test(place: AnyPath, test: DecodingTest) -> None:
    """Keep a test in the folder of a template."""
    publish_json(place / _FILE, asdict(test))

"""Settings of a cell of a comparison, with its key."""

from dataclasses import asdict, dataclass
from typing import Literal

from tasks.backbone.backbones import Backbone
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.keys import fingerprint

#: Raised when the same settings give other results.
CODE_VERSION = 3

Way = Literal["head", "scratch", "finetune"]
#: Descriptions of the ways.
WAYS: dict[Way, str] = {
    "head": "head on frozen bottlenecks",
    "scratch": "whole network from random weights",
    "finetune": "whole network from pretrained weights",
}
#: Number of photos a label that stands for all.
ALL = 0


@dataclass(frozen=True)
class CellSettings:
    """One way to train, on so many photos of each label."""

    way: Way
    photos_per_label: int  #: Most training photos of each label; 0 takes all.
    seed: int  #: Seed of the drawn photos and of the training.
    backbone: Backbone  #: The network.
    encoding: Encoding  #: Encoding of its stored pictures.
    epochs: int  #: Passes of a whole network over the training photos; few photos get more, see `LEAST_PASSES`.
    seconds: float | None  #: Most seconds for training a whole network; None is no limit.

    @property
    def decode(self) -> DecodeSettings:
        """Settings of the decode stage."""
        return self.backbone.decode(self.encoding)

    def key(self, snapshot: str) -> str:
        """Key of the cell on a snapshot; a head has neither epochs nor a limit."""
        ingredients = asdict(self)
        if self.way == "head":
            del ingredients["epochs"], ingredients["seconds"]
        return fingerprint(
            {**ingredients, "decode": self.decode.key, "snapshot": snapshot, "code_version": CODE_VERSION}
        )

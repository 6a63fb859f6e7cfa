"""What a user asks for as backbone, before anything is looked at."""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.catalog import given_path
from tasks.keys import fingerprint
from tasks.storage.files import storage_at

KERAS_PREFIX = "keras:"
#: What `--scaling` says where the user leaves it to the backbone.
AUTO = "auto"
#: What `--layers` says where the last layer alone makes the bottleneck.
LAST = "last"


@dataclass(frozen=True)
class BackboneRequest:
    """What a user asks for as backbone.

    Args:
        backbone: A name of the catalog, `keras:<Name>`, or a path of a SavedModel, a `.keras` file or a frozen graph.
        weights: A file or URL that takes the place of the backbone's own weights; empty takes its own.
        size: Height and width of the input in pixels; 0 takes the backbone's own.
        scaling: How a model of the user's wants its pixels; `auto` is the backbone's own.
        input_tensor: Of a frozen graph: the tensor that takes the scaled pixels.
        bottleneck_tensor: Of a model of the user's: the tensor, output or layer that gives the bottleneck; further ones
            follow after commas.
        layers: Which layers make the bottleneck: `auto`, those that the backbone names, or `last`, the last one alone.
    """

    backbone: str
    weights: str = ""
    size: int = 0
    scaling: str = AUTO
    input_tensor: str = ""
    bottleneck_tensor: str = ""
    layers: str = AUTO

    @property
    def key(self) -> str:
        """Key of the request; what it came to also depends on the files that it names."""
        return fingerprint(asdict(self))

    @property
    def slug(self) -> str:
        """A folder's name for the backbone: readable, and another one for another."""
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", Path(self.backbone).name).strip("-")[:40]
        if plain and plain == self.backbone:
            return plain
        return f"{plain or 'backbone'}-{hashlib.sha256(self.backbone.encode(errors='surrogateescape')).hexdigest()[:8]}"

    def state(self) -> str:
        """How the user's own files look from outside, without reading them: changed, they are looked at again."""
        paths = [given_path(text) for text in (self.backbone, self.weights)]
        return ", ".join(storage_at(path).version(path) if path else "" for path in paths)

"""A user's request for a backbone."""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.catalog import given_path
from tasks.keys import fingerprint
from tasks.storage.files import storage_at

KERAS_PREFIX = "keras:"
HUB_PREFIX = "hub:"
#: Value of `--scaling` and `--layers` that leaves the choice to the backbone.
AUTO = "auto"
#: Value of `--layers` that takes the last layer only.
LAST = "last"


@dataclass(frozen=True)
class BackboneRequest:
    """A user's request for a backbone, from the parameters alone."""

    #: A name of the catalog, `keras:<Name>`, `hub:<preset or folder>`, or a path of a SavedModel, a `.keras` or `.onnx`
    #: file, or a frozen graph.
    backbone: str
    weights: str = ""  #: File or URL of weights that replace the backbone's own; empty keeps its own.
    size: int = 0  #: Height and width of the input in pixels; 0 is the backbone's own.
    scaling: str = AUTO  #: Scaling of pixels for a user's model; `auto` is the backbone's own.
    input_tensor: str = ""  #: Tensor of a user's frozen graph that takes the scaled pixels.
    #: Tensor, output or layer of a user's model that gives the bottleneck; more follow after commas.
    bottleneck_tensor: str = ""
    #: Layers that make the bottleneck: `auto` is those that the backbone names, `last` only the last one.
    layers: str = AUTO

    @property
    def key(self) -> str:
        """Key of the request. The backbone also depends on the files that the request names."""
        return fingerprint(asdict(self))

    @property
    def slug(self) -> str:
        """A readable folder name for the backbone, unique to it."""
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", Path(self.backbone).name).strip("-")[:40]
        if plain and plain == self.backbone:
            return plain
        return f"{plain or 'backbone'}-{hashlib.sha256(self.backbone.encode(errors='surrogateescape')).hexdigest()[:8]}"

    def state(self) -> str:
        """Versions of the user's files, without reading them; if they change, the request is prepared again."""
        paths = [given_path(text) for text in (self.backbone.removeprefix(HUB_PREFIX), self.weights)]
        return ", ".join(storage_at(path).version(path) if path else "" for path in paths)

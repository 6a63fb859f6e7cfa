"""The context of a run, which each of its stages hands on to the stages that it requires."""

import json
from dataclasses import dataclass

from tasks.cluster.addresses import Cluster
from tasks.errors import BackboneError
from tasks.paths import AnyPath, to_path
from tasks.storage.layout import DataRoot

#: Fields that tell one stage task from another; the others say where things are and which machines work.
_IDENTITY = ("data_root", "snapshot", "max_rejected", "max_megapixels")


@dataclass(frozen=True)
class RunContext:
    """The run that a stage belongs to, and the snapshot that it works on."""

    data_root: str  #: Folder of everything that the stages write.
    run_id: str = "by hand"  #: Name of the run in manifests.
    snapshot: str = ""  #: Key of the snapshot; empty in the stages that come before it.
    photos: str = ""  #: Folder that the snapshot's paths are relative to.
    pointer: str = ""  #: Manifest that names the date's snapshot; empty where none is to be renewed.
    weights: tuple[tuple[str, str], ...] = ()  #: Pairs of the sha256 of a backbone's weights and their path.
    max_rejected: float = 0.05  #: Share of photos that may be rejected before the run ends with an error, in [0, 1].
    max_megapixels: float = 100  #: Millions of pixels that a photo may have before it is rejected.
    cluster: Cluster | None = None  #: The Ray cluster that works on photos; None where this machine does.

    @property
    def identity(self) -> str:
        """The fields that tell one task from another, as JSON."""
        return json.dumps({name: getattr(self, name) for name in _IDENTITY}, sort_keys=True)

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return DataRoot(to_path(self.data_root))

    @property
    def photo_folder(self) -> AnyPath:
        """The folder that the snapshot's paths are relative to."""
        return to_path(self.photos)

    @property
    def max_pixels(self) -> int:
        """Pixels that a photo may have before it is rejected."""
        return round(self.max_megapixels * 1e6)

    @property
    def statistics(self) -> AnyPath | None:
        """Folder of the statistics of the snapshot's dataset; None without a pointer, which names the dataset."""
        return self.root.statistics(to_path(self.pointer).parent.name) if self.pointer else None

    @property
    def weight_paths(self) -> dict[str, AnyPath]:
        """Paths of the backbones' weights, by their sha256."""
        return {sha256: to_path(text) for sha256, text in self.weights}

    def weights_of(self, sha256: str) -> AnyPath:
        """Path of a backbone's weights.

        Raises:
            BackboneError: The context has no weights of this sha256.
        """
        paths = self.weight_paths
        if sha256 not in paths:
            raise BackboneError(f"The run's context names no weights with the sha256 {sha256}. Add them to `weights`.")
        return paths[sha256]

"""Paths of everything below the data root."""

import datetime as dt
from dataclasses import dataclass
from typing import Generic, cast

from typing_extensions import TypeVar

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.storage.files import storage_at
from tasks.storage.protocol import Storage

PathT_co = TypeVar("PathT_co", bound=AnyPath, covariant=True, default=AnyPath)
PlaceT = TypeVar("PlaceT", bound=AnyPath)


@dataclass(frozen=True)
class DataRoot(Generic[PathT_co]):
    """The folder of everything that the stages write, on this machine or on an object store.

    The methods are for places that several stages use. Other places are in the `StageSpec` of their stage.
    """

    path: PathT_co  #: The folder; it is made when something is first published.

    @property
    def storage(self) -> Storage:
        """The storage of all paths below the root."""
        return storage_at(self.path)

    @staticmethod
    def above(folder: AnyPath) -> "DataRoot":
        """The data root of a folder `<stage>/<name>`, such as that of a head or of a dataset's records."""
        return DataRoot(folder.parent.parent)

    def below(self, *names: str) -> PathT_co:
        """Join names to the root; each name must be one part of the path.

        Raises:
            StoreError: A name would lead elsewhere.
        """
        for name in names:
            if not isinstance(name, str) or name in {".", ".."} or not {"/", "\\", "\0"}.isdisjoint(name):
                raise StoreError(
                    f"{name!a} is no name of anything below {self.path}. Delete the file that names it, or mend it."
                )
        return cast("PathT_co", self.path.joinpath(*names))

    def downloads(self, dataset: str) -> PathT_co:
        """Folder of a dataset's archive and of the files extracted from it."""
        return self.below("download", dataset)

    def snapshot(self, key: str) -> PathT_co:
        """The Parquet file of a snapshot, one row a photo."""
        return self.below("snapshot", f"{key}.parquet")

    def snapshots(self, dataset: str) -> PathT_co:
        """Folder of a dataset's pointers from dates to snapshots, and of the hashes known of its files."""
        return self.below("snapshot", dataset)

    def decode(self, key: str) -> PathT_co:
        """Folder of a decoded store."""
        return self.below("decode", key)

    def rejected(self, key: str) -> PathT_co:
        """Folder of the photos that could not be decoded."""
        return self.below("decode", key, "rejected")

    def bottleneck(self, key: str) -> PathT_co:
        """Folder of a bottleneck store."""
        return self.below("bottleneck", key)

    def train(self, key: str) -> PathT_co:
        """Folder of a head and its checkpoints."""
        return self.below("train", key)

    def statistics(self, dataset: str) -> PathT_co:
        """Folder of the statistics of a dataset's bottlenecks, the newest alone."""
        return self.below("statistics", dataset)

    def export(self, key: str) -> PathT_co:
        """Folder of a head's or network's export."""
        return self.below("train", key, "export")

    def evaluate(self, key: str) -> PathT_co:
        """Folder of an evaluation: metrics and predictions."""
        return self.below("evaluate", key)

    def champion(self, dataset: str) -> PathT_co:
        """The file that names the best model of a dataset so far."""
        return self.below("champion", f"{dataset}.json")

    def decisions(self, dataset: str) -> PathT_co:
        """Folder of the decisions on a dataset's champion, one manifest a decision."""
        return self.below("champion", dataset)

    def serving(self, dataset: str) -> PathT_co:
        """Folder of the champions of a dataset for model servers, one folder a version."""
        return self.below("serving", dataset)

    def report(self, key: str) -> PathT_co:
        """Folder of a run's report."""
        return self.below("report", key)

    def index(self) -> PathT_co:
        """The page that lists all runs."""
        return self.below("index.html")

    def runs(self, dataset: str) -> PathT_co:
        """Folder of a dataset's run records."""
        return self.below("runs", dataset)

    def run_lock(self, dataset: str, date: dt.date) -> PathT_co:
        """The file that is locked while a dataset is trained for a date."""
        return self.below("runs", dataset, f".{date}.lock")


def manifest_path(store: PlaceT, snapshot: str) -> PlaceT:
    """The manifest of a store for a snapshot: it names the shards with the snapshot's rows."""
    return cast("PlaceT", store / "manifests" / f"{snapshot}.json")

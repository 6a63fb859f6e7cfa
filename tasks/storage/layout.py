"""Where each thing lives below the data root."""

import datetime as dt
from dataclasses import dataclass
from typing import Generic, cast

from typing_extensions import TypeVar

from tasks.errors import StoreError
from tasks.paths import AnyPath

PathT_co = TypeVar("PathT_co", bound=AnyPath, covariant=True, default=AnyPath)
PlaceT = TypeVar("PlaceT", bound=AnyPath)


@dataclass(frozen=True)
class DataRoot(Generic[PathT_co]):
    """The folder of everything that the stages write, on this machine or on an object store.

    The methods are for places that several stages use. What else a stage writes is in its `StageSpec`.

    Args:
        path: The folder; it is made when something is first published.
    """

    path: PathT_co

    @staticmethod
    def above(folder: AnyPath) -> "DataRoot":
        """The data root that a folder `<stage>/<name>` lies in, such as a head's or that of a dataset's records."""
        return DataRoot(folder.parent.parent)

    def below(self, *names: str) -> PathT_co:
        """The path of a file or folder, of which each name is one part; no other way leads from a name to a path.

        Raises:
            StoreError: A name would lead out of its folder.
        """
        for name in names:
            if not isinstance(name, str) or name in {".", ".."} or not {"/", "\\", "\0"}.isdisjoint(name):
                raise StoreError(
                    f"{name!a} is no name of anything below {self.path}. Delete the file that names it, or mend it."
                )
        return cast("PathT_co", self.path.joinpath(*names))

    def downloads(self, dataset: str) -> PathT_co:
        """Folder of a dataset's archive and of what was extracted from it."""
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
        """Folder of the photos that a decoded store has no picture of."""
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
        """Folder of what a head or network was exported as."""
        return self.below("train", key, "export")

    def evaluate(self, key: str) -> PathT_co:
        """Folder of an evaluation: metrics and predictions."""
        return self.below("evaluate", key)

    def champion(self, dataset: str) -> PathT_co:
        """The file that says which model of a dataset is the best so far."""
        return self.below("champion", f"{dataset}.json")

    def decisions(self, dataset: str) -> PathT_co:
        """Folder of the decisions on a dataset's champion, one manifest a decision."""
        return self.below("champion", dataset)

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
    """The file that says that a store holds all that a snapshot needs, and in which shards."""
    return cast("PlaceT", store / "manifests" / f"{snapshot}.json")

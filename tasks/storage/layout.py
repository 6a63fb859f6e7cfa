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
    """The folder that holds everything the stages write, on this machine or on an object store.

    Args:
        path: The folder; it is made when something is first published.
    """

    path: PathT_co

    @property
    def storage(self) -> Storage:
        """The storage of all paths below the root."""
        return storage_at(self.path)

    @staticmethod
    def above(folder: AnyPath) -> "DataRoot":
        """The data root of a folder `<stage>/<name>`, such as that of a head or of a dataset's records."""
        return DataRoot(folder.parent.parent)

    def _below(self, *names: str) -> PathT_co:
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
        return self._below("download", dataset)

    def snapshot(self, key: str) -> PathT_co:
        """The Parquet file of a snapshot, one row a photo."""
        return self._below("snapshot", f"{key}.parquet")

    def snapshots(self, dataset: str) -> PathT_co:
        """Folder of a dataset's pointers from dates to snapshots, and of the hashes known of its files."""
        return self._below("snapshot", dataset)

    def backbone(self, name: str) -> PathT_co:
        """Folder of a backbone's manifests, and of its fetched weights."""
        return self._below("backbone", name)

    def decode(self, key: str) -> PathT_co:
        """Folder of a decoded store."""
        return self._below("decode", key)

    def rejected(self, key: str) -> PathT_co:
        """Folder of the photos that could not be decoded."""
        return self._below("decode", key, "rejected")

    def bottleneck(self, key: str) -> PathT_co:
        """Folder of a bottleneck store."""
        return self._below("bottleneck", key)

    def train(self, key: str) -> PathT_co:
        """Folder of a head and its checkpoints."""
        return self._below("train", key)

    def statistics(self, dataset: str) -> PathT_co:
        """Folder of the statistics of a dataset's bottlenecks, the newest alone."""
        return self._below("statistics", dataset)

    def export(self, key: str) -> PathT_co:
        """Folder of a head's or network's export."""
        return self._below("train", key, "export")

    def evaluate(self, key: str) -> PathT_co:
        """Folder of an evaluation: metrics and predictions."""
        return self._below("evaluate", key)

    def champion(self, dataset: str) -> PathT_co:
        """The file that names the best model of a dataset so far."""
        return self._below("champion", f"{dataset}.json")

    def decisions(self, dataset: str) -> PathT_co:
        """Folder of the decisions on a dataset's champion, one manifest a decision."""
        return self._below("champion", dataset)

    def report(self, key: str) -> PathT_co:
        """Folder of a run's report."""
        return self._below("report", key)

    def index(self) -> PathT_co:
        """The page that lists all runs."""
        return self._below("index.html")

    def predict(self, key: str) -> PathT_co:
        """Folder of a model's predictions for a folder of photos."""
        return self._below("predict", key)

    def comparison(self, key: str) -> PathT_co:
        """Folder of a comparison: table, figures, report."""
        return self._below("compare", key)

    def cells(self) -> PathT_co:
        """Folder of the cells of all comparisons, one manifest a cell."""
        return self._below("compare", "cells")

    def comparisons(self, dataset: str) -> PathT_co:
        """Folder of the records of a dataset's comparisons."""
        return self._below("compare", "runs", dataset)

    def runs(self, dataset: str) -> PathT_co:
        """Folder of a dataset's run records."""
        return self._below("runs", dataset)

    def night(self, dataset: str, date: dt.date) -> PathT_co:
        """The file that is locked while a dataset is trained for a date."""
        return self._below("runs", dataset, f".{date}.lock")


def manifest_path(store: PlaceT, snapshot: str) -> PlaceT:
    """The manifest of a store for a snapshot: it names the shards with the snapshot's rows."""
    return cast("PlaceT", store / "manifests" / f"{snapshot}.json")

"""Where each thing lives below the data root."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class DataRoot:
    """The folder that holds everything the stages write.

    Args:
        path: The folder; it is made when something is first published.
    """

    path: Path

    @classmethod
    def above(cls, folder: Path) -> Self:
        """The data root that a folder `<stage>/<name>` lies in, such as a head's or that of a dataset's records."""
        return cls(folder.parent.parent)

    def downloads(self, dataset: str) -> Path:
        """Folder of a dataset's archive and of what was extracted from it."""
        return self.path / "download" / dataset

    def snapshot(self, key: str) -> Path:
        """The Parquet file of a snapshot, one row a photo."""
        return self.path / "snapshot" / f"{key}.parquet"

    def snapshots(self, dataset: str) -> Path:
        """Folder of a dataset's pointers from dates to snapshots, and of the hashes known of its files."""
        return self.path / "snapshot" / dataset

    def backbone(self, name: str) -> Path:
        """Folder of what is known of a backbone, and of its weights where they were fetched."""
        return self.path / "backbone" / name

    def decode(self, key: str) -> Path:
        """Folder of a decoded store."""
        return self.path / "decode" / key

    def rejected(self, key: str) -> Path:
        """Folder of the photos that a decoded store has no picture of."""
        return self.decode(key) / "rejected"

    def bottleneck(self, key: str) -> Path:
        """Folder of a bottleneck store."""
        return self.path / "bottleneck" / key

    def train(self, key: str) -> Path:
        """Folder of a head and its checkpoints."""
        return self.path / "train" / key

    def export(self, key: str) -> Path:
        """Folder of what a head or network was exported as."""
        return self.train(key) / "export"

    def evaluate(self, key: str) -> Path:
        """Folder of an evaluation: metrics and predictions."""
        return self.path / "evaluate" / key

    def champion(self, dataset: str) -> Path:
        """The file that says which model of a dataset is the best so far."""
        return self.path / "champion" / f"{dataset}.json"

    def decisions(self, dataset: str) -> Path:
        """Folder of the decisions on a dataset's champion, one manifest a decision."""
        return self.path / "champion" / dataset

    def report(self, key: str) -> Path:
        """Folder of a run's report."""
        return self.path / "report" / key

    def index(self) -> Path:
        """The page that lists all runs."""
        return self.path / "index.html"

    def predict(self, key: str) -> Path:
        """Folder of what a model says of a folder of photos."""
        return self.path / "predict" / key

    def comparison(self, key: str) -> Path:
        """Folder of a comparison: table, figures, report."""
        return self.path / "compare" / key

    def cells(self) -> Path:
        """Folder of the cells of all comparisons, one manifest a cell."""
        return self.path / "compare" / "cells"

    def comparisons(self, dataset: str) -> Path:
        """Folder of the records of a dataset's comparisons."""
        return self.path / "compare" / "runs" / dataset

    def runs(self, dataset: str) -> Path:
        """Folder of a dataset's run records."""
        return self.path / "runs" / dataset

    def night(self, dataset: str, date: dt.date) -> Path:
        """The file that is locked while a dataset is trained for a date."""
        return self.runs(dataset) / f".{date}.lock"


def manifest(store: Path, snapshot: str) -> Path:
    """The file that says that a store holds all that a snapshot needs, and in which shards."""
    return store / "manifests" / f"{snapshot}.json"

"""What run records say: the small files that every nightly run ends with."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from tasks.errors import SettingError, StoreError
from tasks.paths import AnyPath, to_path
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.storage.files import listed, read_each, read_json
from tasks.storage.layout import DataRoot

#: What became of a run's model beside its dataset's champion: the first one there is, a new one that took its place,
#: the champion itself trained again, a worse one, or one below the accuracy that was asked for.
Verdict = Literal["first", "new", "same", "stays", "refused"]
VERDICTS: tuple[str, ...] = get_args(Verdict)


@dataclass(frozen=True)
class RunRecord:
    """A run, as its record tells of it.

    Args:
        record: Where the record is.
        dataset: Name of the dataset.
        date: The date that the run is for.
        finished: When it ended, UTC.
        snapshot: Key of its snapshot.
        model: Key of its head or network.
        photos: Photos that were used.
        new: How many of them no run had seen before.
        rejected: Photos that could not be decoded.
        test_photos: Photos of the test split.
        accuracy: Test accuracy, in [0, 1].
        low: Lower bound of its 95 % interval.
        high: Upper bound likewise.
        cross_validated: Accuracy over all photos, in [0, 1]; None where it was not measured.
        verdict: What became of the model; None in records of an earlier version of this project.
        elapsed: Seconds from the program's start to the record.
        report: The report.
        parameters: Every parameter but the date, as text.
    """

    record: AnyPath
    dataset: str
    date: dt.date
    finished: dt.datetime
    snapshot: str
    model: str
    photos: int
    new: int
    rejected: int
    test_photos: int
    accuracy: float
    low: float
    high: float
    cross_validated: float | None
    verdict: Verdict | None
    elapsed: float
    report: AnyPath
    parameters: Mapping[str, str]


def read_record(path: AnyPath) -> dict[str, Any] | None:
    """Read a record; None where there is none.

    Raises:
        StoreError: It is damaged or of another version.
    """
    try:
        record = read_json(path)
    except FileNotFoundError:
        return None
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(f"{path} is no record of this version. Delete it; the next run writes it again.")
    return record


class RunHistory(NamedTuple):
    """The runs of a dataset.

    Args:
        runs: In the order of their dates, those of one date in the order in which they ended.
        damaged: Why a record could not be read, one error each.
    """

    runs: list[RunRecord]
    damaged: list[StoreError]


def read_history(root: DataRoot, dataset: str) -> RunHistory:
    """Read all runs of a dataset; a record that is damaged or of another version keeps no other from being read."""
    read = list(read_each(_try_night, listed(root.runs(dataset), "*.json"), root.path))
    nights = [night for night in read if isinstance(night, RunRecord)]
    damaged = [error for error in read if isinstance(error, StoreError)]
    return RunHistory(sorted(nights, key=lambda night: (night.date, night.finished)), damaged)


def recorded_datasets(root: DataRoot) -> list[str]:
    """Names of the datasets that have runs, sorted."""
    folders = listed(root.runs("x").parent)
    recorded = read_each(lambda folder: bool(listed(folder, "*.json")), folders, root.path)
    return [folder.name for folder, has_runs in zip(folders, recorded, strict=True) if has_runs]


def _try_night(path: AnyPath) -> RunRecord | StoreError:
    try:
        return _read_night(path)
    except StoreError as exc:
        return exc


def _read_night(path: AnyPath) -> RunRecord:
    record = read_record(path) or {}
    try:
        test, crossed = record["metrics"]["test"], record["metrics"]["cross_validation"]
        stages = record["stages"]
        return RunRecord(
            record=path,
            dataset=record["dataset"]["name"],
            date=dt.date.fromisoformat(record["date"]),
            finished=dt.datetime.fromisoformat(record["finished"]),
            snapshot=record["snapshot"],
            model=record["head"] or record["network"],
            photos=record["photos"],
            new=stages.get("bottleneck", stages["decode"])["new"],
            rejected=record["rejected"],
            test_photos=test["photos"],
            accuracy=test["accuracy"],
            low=test["interval"]["low"],
            high=test["interval"]["high"],
            cross_validated=crossed["accuracy"] if crossed else None,
            verdict=record.get("champion", {}).get("verdict"),
            elapsed=record.get("elapsed", record["seconds"]),
            report=_reported(record["report"]),
            parameters=record["parameters"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc!r}). Delete it; the next run writes it again.") from exc


def _reported(text: str) -> AnyPath:
    """Where a record says that its report is; its data root may have come from a store that is not used here."""
    try:
        return to_path(text)
    except SettingError:
        return Path(text)

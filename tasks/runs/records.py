"""Reads run records: the small files that runs end with."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from tasks.errors import SettingError, StoreError
from tasks.paths import AnyPath, to_path
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import listed, read_each, read_json
from tasks.storage.layout import DataRoot

#: Result of the comparison of a run's model with its dataset's champion: the first model, a better one that replaced
#: the champion, the champion itself trained again, a worse one, or one below the accuracy that was asked for.
Verdict = Literal["first", "new", "same", "stays", "refused"]
VERDICTS: tuple[str, ...] = get_args(Verdict)


@dataclass(frozen=True, kw_only=True)
class RecordHeader:
    """The start of the record of a run or of a comparison."""

    record: AnyPath  #: Path of the record.
    run: str  #: Name of the run in manifests.
    dataset: str  #: Name of the dataset.
    date: dt.date  #: Date of the run.
    location: str  #: Path or URL of the dataset.
    snapshot: str  #: Key of the snapshot.
    parameters: Mapping[str, str]  #: Every parameter but the date, as text.


@dataclass(frozen=True)
class RecordedStage:
    """A stage in the record of a run."""

    key: str  #: Key of the stage.
    new: int  #: Photos that the run added to it.
    seconds: float  #: Seconds that the run spent in it; 0 where an earlier run had done it.
    startup: float  #: How many of these seconds were no work, such as imports.


@dataclass(frozen=True, kw_only=True)
class RunRecord(RecordHeader):
    """The record of a run."""

    finished: dt.datetime  #: End of the run, UTC.
    model: str  #: Key of the head or network.
    photos: int  #: Photos that were used.
    new: int  #: How many of them no run had seen before.
    rejected: int  #: Photos that could not be decoded.
    test_photos: int  #: Photos of the test split.
    accuracy: float  #: Test accuracy, in [0, 1].
    low: float  #: Lower bound of its 95 % interval.
    high: float  #: Upper bound of its 95 % interval.
    cross_validated: float | None  #: Accuracy over all photos, in [0, 1]; None where it was not measured.
    verdict: Verdict | None  #: Comparison with the champion; None in records of an earlier version of this project.
    drift: Sequence[str] = ()  #: The properties in which new photos differed from earlier ones, for people.
    kept_by: str | None = None  #: Reason for which the model did not become champion, as in a decision; None otherwise.
    elapsed: float  #: Seconds from the program's start to the record.
    report: AnyPath  #: Path of the report.
    #: Accuracy on the test photos without a near duplicate in training; None where it is the same, or not known.
    distinct_accuracy: float | None = None
    given_test: str | None = None  #: The split of the dataset that is the test split; None if splits are drawn.
    program: float = 0.0  #: Seconds from the program's start to the first stage.
    #: The stages by name, in the order in which they ran.
    stages: Mapping[str, RecordedStage] = field(default_factory=dict)


class RunHistory(NamedTuple):
    """Runs whose records were read."""

    runs: list[RunRecord]
    damaged: list[StoreError]  #: Errors of the records that could not be read.


def read_record(path: AnyPath) -> dict[str, Any] | None:
    """Read a record as it was written; None where there is none.

    Raises:
        StoreError: The record is damaged or of another version.
    """
    try:
        record = read_json(path)
    except FileNotFoundError:
        return None
    if not isinstance(record, dict) or record.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(f"{path} is no record of this version. Delete it; the next run writes it again.")
    return record


def read_header(path: AnyPath) -> RecordHeader:
    """Read the start of a record.

    Raises:
        StoreError: The record is damaged or of another version.
    """
    with _damaged(path):
        return RecordHeader(**_header(path, read_record(path) or {}))


def read_run(path: AnyPath) -> RunRecord:
    """Read the record of a run.

    Raises:
        StoreError: The record is damaged or of another version.
    """
    record = read_record(path) or {}
    with _damaged(path):
        test, crossed = record["metrics"]["test"], record["metrics"]["cross_validation"]
        stages = {name: _stage(stage) for name, stage in record["stages"].items()}
        if lacking := {"decode", "evaluate"} - stages.keys():
            raise ValueError(f"it lacks the stages {', '.join(sorted(lacking))}")
        return RunRecord(
            **_header(path, record),
            finished=dt.datetime.fromisoformat(record["finished"]),
            model=_text(record["head"] or record["network"]),
            photos=record["photos"],
            new=stages.get("bottleneck", stages["decode"]).new,
            rejected=record["rejected"],
            test_photos=test["photos"],
            accuracy=test["accuracy"],
            low=test["interval"]["low"],
            high=test["interval"]["high"],
            cross_validated=crossed["accuracy"] if crossed else None,
            distinct_accuracy=distinct_accuracy(test, record["metrics"].get("test_without_near_duplicates")),
            given_test=(find_given_splits(record) or {}).get("test"),
            verdict=record.get("champion", {}).get("verdict"),
            drift=tuple(find_changes(record)),
            kept_by=record.get("champion", {}).get("kept_by"),
            elapsed=record.get("elapsed", record["seconds"]),
            program=record.get("startup", {}).get("program", 0.0),
            report=_report(record["report"]),
            stages=stages,
        )


def distinct_accuracy(test: Mapping[str, Any], without: Mapping[str, Any] | None) -> float | None:
    """Accuracy on the test photos without a near duplicate in training, if it differs from that on all by 0.1 %.

    None also where it was not measured: of networks, by earlier versions, or if no test photo is left.
    """
    accuracy: float | None = without["accuracy"] if without else None
    return None if accuracy is None or f"{accuracy:.1%}" == f"{test['accuracy']:.1%}" else accuracy


def find_changes(record: Mapping[str, Any]) -> list[str]:
    """The properties in which the new photos of a recorded run differ from earlier ones, for people."""
    # Records of earlier versions lack the stage.
    changes: list[str] = record["stages"].get("drift", {}).get("details", {}).get("changes", [])
    return changes


def find_given_splits(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The splits that the dataset of a recorded run gives, fields of `GivenSplits`; None if they are drawn."""
    given: Mapping[str, Any] | None = record["stages"].get("snapshot", {}).get("details", {}).get("given_splits")
    return given


def read_runs(paths: Iterable[AnyPath], root: DataRoot) -> RunHistory:
    """Read records in order; one that is damaged or of another version keeps no other from being read."""
    read = list(read_each(_try_run, paths, root.path))
    return RunHistory(
        [run for run in read if isinstance(run, RunRecord)], [error for error in read if isinstance(error, StoreError)]
    )


def read_history(root: DataRoot, dataset: str) -> RunHistory:
    """Read all runs of a dataset, in the order of their dates, those of one date in the order in which they ended."""
    runs, damaged = read_runs(listed(root.runs(dataset), "*.json"), root)
    return RunHistory(sorted(runs, key=lambda run: (run.date, run.finished)), damaged)


def recorded_datasets(root: DataRoot) -> list[str]:
    """Names of the datasets that have runs, sorted."""
    folders = listed(root.below("runs"))
    recorded = read_each(lambda folder: bool(listed(folder, "*.json")), folders, root.path)
    return [folder.name for folder, has_runs in zip(folders, recorded, strict=True) if has_runs]


def _try_run(path: AnyPath) -> RunRecord | StoreError:
    try:
        return read_run(path)
    except StoreError as exc:
        return exc


@contextmanager
def _damaged(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc!r}). Delete it; the next run writes it again.") from exc


def _header(path: AnyPath, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "record": path,
        "run": record["run"],
        "dataset": path.parent.name,
        "date": dt.date.fromisoformat(record["date"]),
        "location": record["dataset"]["location"],
        "snapshot": _text(record["snapshot"]),
        "parameters": record["parameters"],
    }


def _stage(stage: Mapping[str, Any]) -> RecordedStage:
    # Records of an earlier version of this project lack the start-up.
    return RecordedStage(_text(stage["key"]), stage["new"], stage["seconds"], sum(stage.get("startup", {}).values()))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no key")
    return value


def _report(text: str) -> AnyPath:
    """The report's path in a record; the data root may have been copied from an object store that is not used here."""
    try:
        return to_path(text)
    except SettingError:
        return Path(text)

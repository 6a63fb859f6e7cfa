"""How long a run would take, from what the records of past runs say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runs.records import read_record, recorded_datasets
from tasks.stage_names import kind_of, of_kind
from tasks.storage.files import listed as listed_in
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot

#: Older runs may have been on another machine, or of another version.
NEWEST = 30
#: Their time grows with the photos that are new to them.
PER_NEW = ("snapshot", "decode", "bottleneck")
#: Their time grows with all photos of the run. That of the other stages hardly does.
PER_PHOTO = ("train", "evaluate")


class RemainingWork(NamedTuple):
    """What a stage has ahead of it.

    Args:
        key: Key of its store, where the speed depends on it.
        photos: Photos that it has to work on; None where nobody knows.
    """

    key: str | None
    photos: int | None


@dataclass(frozen=True)
class Estimate:
    """How long a run would take.

    Args:
        seconds: From the start of the program; None where no past run tells of any stage, or none has work to do.
        runs: How many past runs that is from.
        unknown: Stages that it leaves out, since no past run tells of them or nobody knows how many photos they get.
    """

    seconds: float | None
    runs: int
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        if self.seconds is None:
            return "no past run to go by" if self.unknown else "hardly any"
        runs = "1 past run" if self.runs == 1 else f"{self.runs} past runs"
        without = f"; not counting {listed(self.unknown)}, of which they do not tell" if self.unknown else ""
        return f"about {duration(self.seconds)}, from {runs}{without}"


class _Past(NamedTuple):
    """What a stage did in a past run: of which run, the share of its seconds that was work, and the rest."""

    run: str
    key: str
    photos: int
    work: float
    startup: float


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as a person says it."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: with commas, the last one after "and"."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def read_past(root: DataRoot) -> list[dict[str, Any]]:
    """Read the newest records of all datasets; those that cannot be read are left out."""
    paths = [path for name in recorded_datasets(root) for path in listed_in(root.runs(name), "*.json")]
    newest = sorted(paths, key=lambda path: path.name)[-NEWEST:]
    records = read_each(_try_record, newest, root.path)
    return [record for record in records if isinstance(record.get("stages"), dict)]


def _try_record(path: AnyPath) -> dict[str, Any]:
    try:
        return read_record(path) or {}
    except StoreError:
        return {}


def estimate(
    ahead: Mapping[str, RemainingWork], parameters: Mapping[str, str], records: Sequence[Mapping[str, Any]]
) -> Estimate:
    """Estimate how long a run would take.

    Of a stage count the past runs that had work to do in it: those with the same store, else those with the same
    parameters, else all. What was no work (imports, processes) is taken once, as the median; the work itself is taken
    by the photo where it grows with them, else as the median.

    Args:
        ahead: What the stages that are not done have ahead, by name.
        parameters: Those of the run, as its record will have them.
        records: Of past runs.
    """
    seconds, runs, unknown = 0.0, set[str](), []
    for stage, own in ahead.items():
        past, kind = _alike(stage, own.key, parameters, records), kind_of(stage)
        if kind in PER_NEW and own.photos == 0:
            continue
        if not past or (own.photos is None and kind in (*PER_NEW, *PER_PHOTO)):
            unknown.append(stage)
            continue
        runs.update(sample.run for sample in past)
        seconds += median(sample.startup for sample in past) + _work(kind, own.photos or 0, past)
    if not runs:
        return Estimate(None, 0, tuple(unknown))
    program = [record.get("startup", {}).get("program", 0.0) for record in records if record.get("run") in runs]
    return Estimate(round(seconds + median(program), 1), len(runs), tuple(unknown))


def _work(kind: str, photos: int, past: Sequence[_Past]) -> float:
    if kind in (*PER_NEW, *PER_PHOTO):
        return photos * sum(sample.work for sample in past) / sum(sample.photos for sample in past)
    return median(sample.work for sample in past)


def _alike(
    stage: str, key: str | None, parameters: Mapping[str, str], records: Sequence[Mapping[str, Any]]
) -> list[_Past]:
    past = {record["run"]: (_past(stage, key, record), record.get("parameters") == parameters) for record in records}
    known = [(sample, same) for sample, same in past.values() if sample is not None]
    same_store = [sample for sample, _ in known if sample.key == key]
    same_parameters = [sample for sample, same in known if same]
    return same_store or same_parameters or [sample for sample, _ in known]


def _past(stage: str, key: str | None, record: Mapping[str, Any]) -> _Past | None:
    """What a stage did in a run, as which one of its kind ever; None where it had nothing to do."""
    kind = kind_of(stage)
    try:
        same = of_kind(record["stages"], kind)
        done = next((one for one in same if one["key"] == key), None) or record["stages"].get(stage) or same[0]
        photos = record["photos"] if kind in PER_PHOTO else done["new"]
        startup = sum(done.get("startup", {}).values())
        # A run that found all of it done has no seconds for it.
        if not done["seconds"] or (kind in (*PER_NEW, *PER_PHOTO) and not (done["new"] and photos)):
            return None
        return _Past(record["run"], done["key"], photos, max(done["seconds"] - startup, 0.0), startup)
    except (AttributeError, IndexError, KeyError, TypeError):
        return None

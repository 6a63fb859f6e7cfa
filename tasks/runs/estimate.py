"""Estimates how long a run would take from the records of past runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from tasks.runs.records import RunRecord, read_runs, recorded_datasets
from tasks.runs.stages import spec_of
from tasks.stage_spec import Cost, kind_of, of_kind
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot

#: Older runs may have been on another machine, or of another version.
NEWEST = 30


class RemainingWork(NamedTuple):
    """Work that a stage has to do."""

    key: str | None  #: Key of its store, where the speed depends on it.
    photos: int | None  #: Photos that it has to work on; None where their number is not known.


@dataclass(frozen=True)
class Estimate:
    """Estimated time of a run."""

    seconds: float | None  #: Time from the start of the program; None where no stage has work that a past run tells of.
    runs: int  #: How many past runs the estimate is from.
    #: Stages that are left out, since no past run had work in them or the number of photos is not known.
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        if self.seconds is None:
            return "no past run to go by" if self.unknown else "hardly any"
        runs = "1 past run" if self.runs == 1 else f"{self.runs} past runs"
        without = f"; without {join_words(self.unknown)}, which cannot be estimated" if self.unknown else ""
        return f"about {duration(self.seconds)}, from {runs}{without}"


class _Past(NamedTuple):
    """Work of a stage in a past run, in seconds without and of start-up."""

    run: RunRecord
    key: str
    photos: int
    work: float
    startup: float


def duration(seconds: float) -> str:
    """Format seconds as seconds, minutes or hours."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def join_words(words: Sequence[str]) -> str:
    """Join words with commas, the last one with "and"."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def read_past(root: DataRoot) -> list[RunRecord]:
    """Read the newest records of all datasets; those that cannot be read are left out."""
    paths = [path for name in recorded_datasets(root) for path in listed(root.runs(name), "*.json")]
    return read_runs(sorted(paths, key=lambda path: path.name)[-NEWEST:], root).runs


def estimate(ahead: Mapping[str, RemainingWork], parameters: Mapping[str, str], past: Sequence[RunRecord]) -> Estimate:
    """Estimate how long a run would take from the work of its stages that are not done, by name.

    Of a stage count the past runs that had work to do in it: those with the same store, else those with the same
    parameters, else all. Start-up (imports, processes) counts once, as the median; the work counts by the photo where
    it grows with them, else as the median.
    """
    seconds, runs, unknown = 0.0, dict[str, RunRecord](), []
    for stage, own in ahead.items():
        cost = spec_of(stage).cost
        if cost == Cost.NEW_PHOTOS and own.photos == 0:
            continue
        samples = _alike(stage, own.key, parameters, past)
        if not samples or (own.photos is None and cost != Cost.FIXED):
            unknown.append(stage)
            continue
        runs |= {sample.run.run: sample.run for sample in samples}
        seconds += median(sample.startup for sample in samples) + _work(cost, own.photos or 0, samples)
    if not runs:
        return Estimate(None, 0, tuple(unknown))
    program = median(run.program for run in runs.values())
    return Estimate(round(seconds + program, 1), len(runs), tuple(unknown))


def _work(cost: Cost, photos: int, past: Sequence[_Past]) -> float:
    if cost == Cost.FIXED:
        return median(sample.work for sample in past)
    return photos * sum(sample.work for sample in past) / sum(sample.photos for sample in past)


def _alike(stage: str, key: str | None, parameters: Mapping[str, str], runs: Sequence[RunRecord]) -> list[_Past]:
    past = [sample for run in runs if (sample := _past(stage, key, run)) is not None]
    same_store = [sample for sample in past if sample.key == key]
    return same_store or [sample for sample in past if sample.run.parameters == parameters] or past


def _past(stage: str, key: str | None, run: RunRecord) -> _Past | None:
    """Work of a stage in a run, whichever of its kind it was there; None where it had nothing to do."""
    same = of_kind(run.stages, kind_of(stage))
    if not same:
        return None
    done = next((one for one in same if one.key == key), None) or run.stages.get(stage) or same[0]
    cost = spec_of(stage).cost
    photos = run.photos if cost == Cost.ALL_PHOTOS else done.new
    # A run that found all of it done has no seconds for it.
    if not done.seconds or (cost != Cost.FIXED and not (done.new and photos)):
        return None
    return _Past(run, done.key, photos, max(done.seconds - done.startup, 0.0), done.startup)

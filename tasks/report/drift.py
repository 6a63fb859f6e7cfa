"""Drift section: how the new photos differ from earlier ones, and photos that show it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.drift.result import LEAST_EFFECT, LEVEL, DriftResult
from tasks.report.gallery import ShownPhoto
from tasks.report.reported_run import ReportedRun


@dataclass(frozen=True, eq=False)
class ShownDrift:
    """A comparison of new photos with earlier ones, and photos that show the changes."""

    result: DriftResult  #: The comparison.
    photos: Mapping[str, Sequence[ShownPhoto]]  #: Photos that show a change, by its name, in the order of the changes.
    level: float = LEVEL  #: Share of runs without drift that have an alarm at most.
    least_effect: float = LEAST_EFFECT  #: Least effect of a change.


def read_drift(run: ReportedRun) -> DriftResult | None:
    """Read the comparison of a run; None if it compared no photos."""
    return DriftResult.from_json(run.stages["drift"].details) if "drift" in run.stages else None


def show_drift(result: DriftResult, images: Mapping[str, bytes]) -> ShownDrift:
    """Show a comparison with the photos that have a picture, given JPEG or PNG files by key."""
    photos = defaultdict(list)
    for photo in result.typical:
        if photo.sha256 in images:
            photos[photo.change].append(ShownPhoto(photo.path, photo.label, images[photo.sha256]))
    return ShownDrift(result, photos)

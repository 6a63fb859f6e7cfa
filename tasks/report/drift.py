"""Drift section: how the new photos differ from earlier ones, and photos that show it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.decode.photos import open_stores, read_pictures
from tasks.drift.result import LEAST_EFFECT, LEVEL, DriftResult
from tasks.report.gallery import ShownPhoto
from tasks.report.reported_run import ReportedRun
from tasks.storage.layout import DataRoot


@dataclass(frozen=True, eq=False)
class ShownDrift:
    """A comparison of new photos with earlier ones, and photos that show the changes."""

    result: DriftResult  #: The comparison.
    photos: Mapping[str, Sequence[ShownPhoto]]  #: Photos that show a change, by its name, in the order of the changes.
    level: float = LEVEL  #: Share of runs without drift that have an alarm at most.
    least_effect: float = LEAST_EFFECT  #: Least effect of a change.


def show_drift(run: ReportedRun, root: DataRoot) -> ShownDrift | None:
    """Read the comparison of a run, and the pictures of the photos that show the changes; None if it compared none.

    Raises:
        StoreError: A shard of the decoded store is damaged.
    """
    if "drift" not in run.stages:
        return None
    result = DriftResult.from_json(run.stages["drift"].details)
    decoded = open_stores(root, run.settings.train.decodes[0]).decoded
    images = read_pictures(decoded, {photo.sha256 for photo in result.typical}) if result.typical else {}
    photos = defaultdict(list)
    for photo in result.typical:
        if photo.sha256 in images:
            photos[photo.change].append(ShownPhoto(photo.path, photo.label, images[photo.sha256]))
    return ShownDrift(result, photos)

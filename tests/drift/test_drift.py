"""New photos of a snapshot, found and compared as the stage does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.drift.drift import MeasuredDrift, find_drift
from tasks.drift.photo_statistics import StatisticsStore
from tasks.drift.result import DriftResult
from tasks.drift.settings import DriftSettings
from tasks.drift.task import CompareNewPhotos
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tests.support.data_root import (
    DATASET,
    SETTINGS,
    SNAPSHOT_KEY,
    StagedRun,
    draw_photos,
    publish_snapshot,
    snapshot_rows,
    stage_run,
)

COUNT = 36


@pytest.fixture
def staged(tmp_path: Path) -> StagedRun:
    """A snapshot of 36 photos, and earlier ones: `most` lacks 6 of them, `same` none, `other` all."""
    staged = stage_run(tmp_path, draw_photos((10, 12, 14)))
    rows = snapshot_rows(draw_photos((10, 12, 14)))
    publish_snapshot(staged.root, rows[6:], "most")
    publish_snapshot(staged.root, rows, "same")
    publish_snapshot(staged.root, [], "other")
    return staged


def find(staged: StagedRun, baseline: str) -> MeasuredDrift:
    store = StatisticsStore(staged.root, DATASET, DriftSettings.of(SETTINGS.train))
    return find_drift(SNAPSHOT_KEY, baseline, store, NullProgress())


def test_a_first_snapshot_leaves_the_statistics_that_the_next_one_needs(staged: StagedRun) -> None:
    assert find(staged, "") == (DriftResult(), COUNT, 0)
    found = find(staged, "most")
    assert (found.computed, found.recalled) == (0, COUNT)
    assert (found.result.new, found.result.earlier) == (6, COUNT - 6)
    assert found.result.tests


def test_without_new_photos_nothing_is_read(staged: StagedRun) -> None:
    assert find(staged, "same") == (DriftResult(), 0, 0)


@pytest.mark.parametrize("baseline", ["other", "damaged", "gone"])
def test_without_earlier_photos_there_is_nothing_to_compare(staged: StagedRun, baseline: str) -> None:
    staged.root.snapshot("damaged").write_bytes(b"PAR1")
    assert find(staged, baseline) == (DriftResult(), COUNT, 0)


def test_the_stage_publishes_the_comparison_and_counts_the_statistics(staged: StagedRun) -> None:
    task = CompareNewPhotos(
        context=RunContext(str(staged.root.path), "run", SNAPSHOT_KEY),
        settings=DriftSettings.of(SETTINGS.train),
        dataset=DATASET,
        baseline="most",
    )
    assert not task.complete()
    task.run()
    manifest = task.manifest()
    assert (manifest.photos, manifest.new, manifest.reused) == (COUNT, COUNT, 0)
    assert DriftResult.from_json(manifest.details).new == 6
    others: list[dict[str, Any]] = [{"baseline": "same"}, {"settings": replace(task.settings, bottleneck=None)}]
    assert not any(task.clone(**other).complete() for other in others)

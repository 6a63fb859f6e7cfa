"""Near duplicates in the report: the first groups, their pictures, and one photo of each label of a group."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluate.near_duplicates import NearDuplicates, measure_near_duplicates, publish_near_duplicates
from tasks.progress import NullProgress
from tasks.report.build import Report, build_report
from tasks.report.near_duplicates import MAX_GROUPS, MAX_PHOTOS, ShownDuplicates
from tasks.report.page import render_report
from tests.bottleneck.pictures import draw, encode
from tests.report.parsed import Page
from tests.support.data_root import StagedRun, draw_photos, stage_run


def report_with(staged: StagedRun, found: NearDuplicates) -> Report:
    """Build the report of a run whose evaluation found near duplicates."""
    evaluate = staged.run.stages["evaluate"]
    publish_near_duplicates(staged.root.evaluate(evaluate.key), staged.predicted.photos, found, {})
    details = {**evaluate.details, **measure_near_duplicates(staged.predicted, found)}
    stages = {**staged.run.stages, "evaluate": replace(evaluate, details=details)}
    return build_report(replace(staged.run, stages=stages), staged.root, NullProgress())


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> StagedRun:
    return stage_run(tmp_path_factory.mktemp("staged"), draw_photos())


def shown_in(report: Report) -> ShownDuplicates:
    assert report.near_duplicates is not None
    return report.near_duplicates


def test_a_group_shows_a_photo_of_each_label_and_then_the_most_similar_ones(staged: StagedRun) -> None:
    photos, group = staged.predicted.photos, np.full(210, -1)
    tulips, daisies = (np.flatnonzero(photos.truth == photos.labels.index(label)) for label in ("tulips", "daisy"))
    members = [*tulips[:5], daisies[0]]
    group[members] = 0
    similarity = np.zeros(210, np.float32)
    similarity[members] = (0.5, 0.9, 0.8, 0.7, 0.6, 0.55)
    shown = shown_in(report_with(staged, NearDuplicates(group, similarity)))
    (only,) = shown.shown
    expected = [members[at] for at in (1, 5, 2, 3)]
    assert len(expected) == MAX_PHOTOS
    assert [near.photo.path for near in only.shown] == [photos.paths[place] for place in expected]
    assert [near.split for near in only.shown] == [photos.splits.names[place] for place in expected]
    assert [near.similarity for near in only.shown] == similarity[expected].tolist()
    assert (only.photos, only.labels) == (6, 2)
    for near in only.shown:
        assert near.photo.image == encode(draw(int(Path(near.photo.path).stem), 8))


def test_of_many_groups_the_first_ones_are_shown_and_the_page_says_how_many_more_there_are(staged: StagedRun) -> None:
    group = np.arange(210) // 2
    report = report_with(staged, NearDuplicates(group, np.full(210, 0.75, np.float32)))
    shown = shown_in(report)
    paths = staged.predicted.photos.paths
    assert [near.photo.path for own in shown.shown for near in own.shown] == paths[: 2 * MAX_GROUPS]
    text = Page(render_report(report)).text
    assert f"Not shown: {105 - MAX_GROUPS} groups more. All are in {shown.file}." in text
    assert shown.file.is_file()


def test_an_evaluation_without_near_duplicates_has_no_section(staged: StagedRun) -> None:
    report = build_report(staged.run, staged.root, NullProgress())
    assert report.near_duplicates is None
    assert "near-duplicates" not in {attributes.get("id") for _, attributes in Page(render_report(report)).tags}

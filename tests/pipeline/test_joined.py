"""Several backbones and crops, end to end: what is computed again, and what the stages are called."""

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from tests.pipeline.command import Project, draw
from tests.pipeline.first_stages import retrain_here, run_of

PHOTOS = 18
ALONE = {"backbone": "efficientnet_lite0", "image_size": "0", "folds": "0"}
JOINED = {**ALONE, "backbone": "efficientnet_lite0+efficientnet_lite2"}
STAGES = ["decode", "decode-2", "bottleneck", "bottleneck-2"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos that were trained on with one backbone, then with two, then with one and both crops."""
    folder = tmp_path_factory.mktemp("joined")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(PHOTOS))
    retrain_here(project, date="2026-03-01", **ALONE)
    retrain_here(project, date="2026-03-02", **JOINED)
    retrain_here(project, date="2026-03-03", **ALONE, views="4")
    return project


def call(project: Project, verb: str, date: str, options: dict[str, str], *more: str) -> str:
    """Call a verb that asks about a run; returns what it writes."""
    run = run_of(project, date=date, **options)
    given = {**run.to_str_params(), "date": date}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value not in ("", "False")]
    done = CliRunner().invoke(app, [verb, *more, *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_joining_computes_only_what_is_missing(project: Project) -> None:
    alone, joined = project.record("2026-03-01"), project.record("2026-03-02")
    new = project.new("2026-03-02")
    assert [new[stage] for stage in STAGES] == [0, PHOTOS, 0, PHOTOS]
    assert joined["stages"]["bottleneck"]["key"] == alone["stages"]["bottleneck"]["key"]
    assert list(joined["stages"])[:2] == ["backbone", "backbone-2"]
    assert joined["head"] != alone["head"]


def test_the_other_crop_is_a_second_store_of_the_same_backbone(project: Project) -> None:
    new, stages = project.new("2026-03-03"), project.record("2026-03-03")["stages"]
    # Of the first one it has the mirror image too.
    assert [new[stage] for stage in STAGES] == [0, PHOTOS, PHOTOS, PHOTOS]
    assert "backbone-2" not in stages
    assert [stages[stage]["details"]["rows"] for stage in STAGES[2:]] == [2 * PHOTOS, 2 * PHOTOS]


@pytest.mark.parametrize(("date", "options"), [("2026-03-02", JOINED), ("2026-03-03", {**ALONE, "views": "4"})])
def test_status_finds_every_stage_of_a_run_done(project: Project, date: str, options: dict[str, str]) -> None:
    told = {step["stage"]: step for step in json.loads(call(project, "status", date, options, "--json"))["stages"]}
    assert set(STAGES) <= set(told)
    assert {step["state"] for step in told.values()} == {"done"}
    assert {stage: told[stage]["key"] for stage in STAGES} == {
        stage: project.record(date)["stages"][stage]["key"] for stage in STAGES
    }


def test_a_store_is_forgotten_by_its_name(project: Project) -> None:
    keys = {stage: project.record("2026-03-02")["stages"][stage]["key"] for stage in STAGES}
    told = call(project, "forget", "2026-03-02", JOINED, "bottleneck-2", "--dry-run")
    assert keys["bottleneck-2"] in told
    assert keys["bottleneck"] not in told


def test_the_classic_recipe_takes_the_first_crop_alone(project: Project) -> None:
    given = {**JOINED, "views": "4", "recipe": "classic"}
    run = run_of(project, **given, date="2026-03-03")
    stages = run.stage_tasks([each.prepared() for each in run.prepare_backbones()])
    assert [name for name in stages if name.startswith("bottleneck")] == ["bottleneck", "bottleneck-2"]
    store = stages["bottleneck"].manifest_path().parent.parent
    assert store.name == project.record("2026-03-03")["stages"]["bottleneck"]["key"], "the same as of the other recipe"

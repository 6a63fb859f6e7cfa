"""Runs whose new photos differ from earlier ones: what they say, and what --on-drift makes of it."""

import json

import pytest
from PIL import Image

from tasks.champion.champion_file import read_champion
from tests.pipeline.command import LITTLE, Finished, Project, assert_error, draw, verb
from tests.pipeline.conftest import Trained

pytestmark = pytest.mark.slow
FIRST, SECOND, THIRD = "2026-03-02", "2026-03-03", "2026-03-04"
TOLD = "New photos differ from earlier ones: "


@pytest.fixture
def grey(copied: Project) -> Project:
    """A project with a first run, and 24 grey photos that were added since."""
    copied.retrain_forked(date=FIRST, **LITTLE).check()
    before = set(copied.photos.rglob("*.jpg"))
    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 24))
    for path in set(copied.photos.rglob("*.jpg")) - before:
        with Image.open(path) as photo:
            photo.convert("L").save(path)
    return copied


def run(project: Project, date: str, on_drift: str) -> Finished:
    return project.retrain_forked(date=date, on_drift=on_drift, **LITTLE)


def champion(project: Project) -> str:
    (path,) = project.root.glob(f"champion/{project.record(FIRST)['dataset']['name']}.json")
    found = read_champion(path)
    assert found is not None
    return found.model


def stages(done: Finished) -> list[str]:
    """The stages that a run worked in."""
    return [line.split()[0] for line in done.output.splitlines() if " reused " in line]


def test_a_run_says_what_differs_and_reports_it(grey: Project) -> None:
    done = run(grey, SECOND, "warn").check()
    (line,) = (line for line in done.output.splitlines() if line.startswith("Drift"))
    assert TOLD in line
    assert "grey photos 100 % (earlier" in line
    record = grey.record(SECOND)
    details = record["stages"]["drift"]["details"]
    assert (details["new"], details["earlier"]) == (24, Trained.PHOTOS)
    assert champion(grey) == record["head"] or record["champion"]["verdict"] == "stays"
    page = (grey.root / "report" / record["stages"]["report"]["key"] / "report.html").read_text()
    assert "</bdi>: new photos that show it" in page
    told = json.loads(verb("history", record["dataset"]["name"], "--data-root", grey.root, "--json").check().output)
    assert [run["drift"] for run in told] == [[], details["changes"]]
    again = run(grey, SECOND, "warn").check()
    assert again.output.startswith("Nothing to do")
    assert line in again.output.splitlines()


def test_a_refused_model_is_no_champion_until_a_run_accepts_its_photos(grey: Project) -> None:
    before = champion(grey)
    for date in (SECOND, SECOND, THIRD):
        done = run(grey, date, "fail")
        assert_error(done, 58, f"The new model is refused. {TOLD}", "--on-drift warn accepts them.")
        record = grey.record(date)
        assert (record["champion"]["verdict"], record["champion"]["kept_by"]) == ("refused", "drift")
        assert f"Report          {record['report']}" in done.output
        assert champion(grey) == before
    accepted = run(grey, SECOND, "warn").check()
    assert set(stages(accepted)) <= {"champion", "serving", "report"}
    assert "is refused" not in accepted.output
    later = run(grey, THIRD, "fail").check()
    assert "Drift  " not in later.output


def test_drift_can_be_ignored_and_the_plan_of_a_run_knows_it(grey: Project) -> None:
    done = run(grey, SECOND, "ignore").check()
    assert "Drift  " not in done.output
    assert "drift" not in grey.record(SECOND)["stages"]
    for on_drift, expected in (("ignore", False), ("warn", True)):
        options = {**grey.options(date=SECOND, **LITTLE), "on_drift": on_drift}
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        status = json.loads(verb("status", *words, "--json").check().output)
        assert ("drift" in [stage["stage"] for stage in status["stages"]]) == expected

"""What a command does wherever it is started, and what it refuses before any work."""

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.retrain import RetrainFlowers
from tasks.errors import SettingError
from tests.pipeline.command import Project, luigi, words
from tests.pipeline.conftest import Trained
from tests.support.repository import REPOSITORY


def verb(*command: str, folder: Path = REPOSITORY) -> "subprocess.CompletedProcess[str]":
    """Run `python -m pipeline`."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_command_needs_no_luigi_cfg(same_photos: Project, tmp_path: Path) -> None:
    options = same_photos.options({"date": Trained.DATE})
    done = luigi("RetrainFlowers", options, folder=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith("Nothing to do")


@pytest.mark.parametrize("value", ["/srv/100%photos", ""])
def test_a_value_of_luigi_cfg_that_cannot_be_is_a_sentence(tmp_path: Path, value: str) -> None:
    (tmp_path / "luigi.cfg").write_text(f"[RetrainFlowers]\ndataset={value}\n")
    done = luigi("RetrainFlowers", {}, folder=tmp_path)
    assert done.code == 51
    assert done.errors.startswith("ERROR: dataset in [RetrainFlowers] of")
    assert [path.name for path in tmp_path.iterdir()] == ["luigi.cfg"]


def test_a_verb_tells_of_a_per_cent_sign_in_luigi_cfg(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[RetrainFlowers]\ndataset=/srv/100%photos\n")
    done = verb("status", folder=tmp_path)
    assert done.returncode == 51
    assert "Write %% for a per cent sign" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_option_of_luigi_is_refused(tmp_path: Path) -> None:
    command = [*words("RetrainFlowers", {"data-root": str(tmp_path / "data")}), "--dataset", ""]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 51
    assert "--dataset is empty" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [("status", "--dataset", ""), ("gc", "--data-root="), ("predict", "", "x.jpg"), ("history", "--dataset", "")],
)
def test_an_empty_option_of_a_verb_is_refused(command: tuple[str, ...]) -> None:
    done = verb(*command)
    assert done.returncode == 51
    assert "is empty, as where a shell's variable is not set" in done.stderr


def test_tomorrow_is_refused_unless_asked_for() -> None:
    ahead = dt.date.today() + dt.timedelta(2)
    with pytest.raises(SettingError, match=f"--date is {ahead}, and today is"):
        RetrainFlowers(date=ahead)
    assert RetrainFlowers(date=ahead, allow_future_date=True).date == ahead


def test_a_parameter_that_range_daily_hands_on_is_refused(tmp_path: Path) -> None:
    given = json.dumps({"data_root": str(tmp_path), "folds": 1})
    dates = {"param-name": "date", "start": "2026-11-01", "stop": "2026-11-02"}
    done = luigi("RangeDaily", {"of": "RetrainFlowers", "of-params": given, **dates})
    assert done.code == 51
    assert done.errors == "ERROR: --folds is 1; it takes 2 to 10, or 0 for no cross-validation.\n"


def test_the_exit_code_and_the_event_are_there_where_nothing_is_logged(tmp_path: Path) -> None:
    quiet = {"log-level": "CRITICAL", "log-format": "json", "data-root": str(tmp_path)}
    for options, code in (({"dataset": str(tmp_path / "none")}, 52), ({"views": "9"}, 51)):
        done = luigi("RetrainFlowers", {**quiet, **options})
        assert done.code == code
        (event,) = [json.loads(line) for line in done.output.splitlines()]
        assert (event["event"], event["exit_code"]) == ("error", code)


@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-", ">/dev/full"])
def test_a_run_without_standard_output_is_a_run(same_photos: Project, redirections: str) -> None:
    options = same_photos.options({"date": "2026-03-02"})
    command = ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *words("RetrainFlowers", options)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert same_photos.record("2026-03-02")["photos"] == Trained.PHOTOS


def test_a_link_to_another_folder_each_night_is_one_dataset_that_may_not_shrink(
    copied: Project, tmp_path: Path
) -> None:
    link = tmp_path / "current"
    link.symlink_to(copied.photos)
    first = copied.retrain(dataset=str(link), date="2026-03-02")
    assert first.code == 0, first.errors
    few = tmp_path / "2026-03-03"
    for photo in sorted(copied.photos.rglob("*.jpg"))[::3]:
        (few / photo.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, few / photo.parent.name)
    link.unlink()
    link.symlink_to(few)
    second = copied.retrain(dataset=str(link), date="2026-03-03")
    assert second.code == 52
    assert f"24 of the {Trained.PHOTOS} photos of 2026-03-02 are gone" in second.errors


@pytest.mark.parametrize(
    ("task", "options"), [("RetrainFlowers", {"dataset": "sample"}), ("PredictFolder", {"model": "x", "folder": "."})]
)
def test_an_object_store_that_is_away_when_work_is_planned_is_a_sentence(task: str, options: dict[str, str]) -> None:
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    credentials = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    done = luigi(task, {**options, "data-root": "s3://bucket/data"}, {**away, **credentials})
    assert done.code == 56
    assert done.errors.startswith("ERROR: The object store cannot be used (Could not connect to the endpoint URL")
    assert done.errors.count("\n") == 1

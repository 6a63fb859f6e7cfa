"""`python -m pipeline status`: what is done of a run, what it would do, and how long that takes."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.retrain import RetrainFlowers
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, Project, assert_error, draw, option_words, verb
from tests.pipeline.in_process import decode, options, run_of, stages_of
from tests.support.data_root import keep, record, stage

TOMORROW = dt.date.today() + dt.timedelta(days=1)


def status(project: Project, *extra: str) -> Finished:
    return verb("status", *option_words(options(project)), *extra)


def look(project: Project, *extra: str) -> dict[str, Any]:
    """The output of `--json`, with its stages by name."""
    told: dict[str, Any] = json.loads(status(project, *extra, "--json").check().output)
    return {**told, **{step["stage"]: step for step in told["stages"]}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.drawn(tmp_path, 12)


def counts(step: dict[str, Any]) -> tuple[str, int | None, int | None]:
    return step["state"], step["present"], step["missing"]


def test_before_the_first_run_it_counts_the_photos_and_writes_nothing(project: Project) -> None:
    told = look(project)
    assert told["backbone"]["state"] == "to do"
    assert counts(told["snapshot"]) == ("to do", 0, 12)
    assert {told[stage]["state"] for stage in ("decode", "bottleneck", "train", "champion")} == {"blocked"}
    assert told["train"]["note"] == "waits for the backbone"
    assert "download" not in told, "a folder is used in place"
    assert "export" not in told, "--export none"
    assert not project.root.exists()


def test_what_is_done_has_rows_and_keys_and_what_is_to_do_misses_rows(project: Project) -> None:
    tasks = stages_of(decode(project))
    told = look(project)
    stages = ("backbone", "snapshot", "decode", "bottleneck", "train")
    assert [told[stage]["state"] for stage in stages] == ["done", "done", "done", "to do", "to do"]
    assert counts(told["decode"]) == ("done", 12, 0)
    assert counts(told["bottleneck"]) == ("to do", 0, 12)
    assert told["train"]["key"] == tasks["train"].manifest_path().parent.name
    assert told["decode"]["bytes"] > 10_000
    assert told["ahead"] == ["bottleneck", "drift", "train", "evaluate", "champion", "serving", "report", "record"]


def test_photos_added_since_are_seen_without_reading_them(project: Project) -> None:
    decode(project)
    draw(project.photos, range(12, 16))
    next(project.photos.rglob("000.jpg")).unlink()
    told = look(project)
    assert counts(told["snapshot"]) == ("to do", 11, 4)
    assert told["snapshot"]["note"] == "gone: 1"
    assert counts(told["decode"]) == ("to do", 11, 4)
    assert counts(told["bottleneck"]) == ("to do", 0, 15)
    assert counts(told["train"]) == ("blocked", None, None)
    assert told["train"]["note"] == "waits for the snapshot"
    assert "A run would take the snapshot with 4 new photos, decode 4 new photos," in status(project).output


def test_on_another_date_unchanged_photos_are_recognised(project: Project) -> None:
    decode(project)
    told = look(project, f"--date={TOMORROW}", "--allow-future-date")
    assert counts(told["snapshot"]) == ("to do", 12, 0)
    assert told["snapshot"]["key"] == look(project)["snapshot"]["key"]
    assert counts(told["decode"]) == ("done", 12, 0)
    assert told["train"]["key"] == look(project)["train"]["key"]


def test_rejected_photos_count_as_present(project: Project) -> None:
    (project.photos / "daisy" / "broken.jpg").write_bytes(b"broken")
    decode(project)
    assert counts(look(project)["decode"]) == ("done", 13, 0)
    assert counts(look(project)["bottleneck"]) == ("to do", 1, 12)


def test_a_damaged_shard_is_an_error_that_a_run_would_end_with(project: Project) -> None:
    decode(project)
    (shard,) = project.root.glob("decode/*/part-*.parquet")
    shard.write_bytes(shard.read_bytes()[:-9])
    done = status(project)
    assert_error(done, 1, f"{shard} is damaged")
    assert "A run would end with an error:" in done.output


def test_a_folder_that_is_missing_blocks_everything_and_is_told_of(tmp_path: Path) -> None:
    done = status(Project(tmp_path / "nowhere", tmp_path / "data"))
    assert_error(done, 1, f"There is no dataset '{tmp_path / 'nowhere'}'")
    assert {line.split()[1] for line in done.output.splitlines()[2:-1]} == {"blocked"}


def test_a_url_that_was_not_fetched_leaves_its_photos_unknown(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / "data")
    told = look(project, "--dataset=https://example.org/photos.tgz")
    assert told["download"]["state"] == "to do"
    assert told["snapshot"]["note"] == "waits for the download"
    assert counts(told["snapshot"]) == ("blocked", None, None)


def test_the_time_is_that_of_past_runs(project: Project) -> None:
    run = decode(project)
    key = look(project)["bottleneck"]["key"]
    worked = {"bottleneck": stage(key, 100, 14.0, 4.0), "train": stage("t", 100, 6.0, 4.0)}
    idle = {"decode": stage("d", 0), "evaluate": stage("e", 0)}
    about = {"photos": 100, "parameters": run.parameters(), "startup": {"program": 1.0}}
    root = DataRoot(project.root)
    keep(root, record(root, "2026-01-01", **about, stages={**idle, **worked}), "others")
    # 1 s of the program; 4 s and 12 photos of 0.1 s; 4 s and 12 photos of 0.02 s.
    assert look(project)["estimate"]["seconds"] == pytest.approx(10.4, abs=0.1)
    assert (
        "Time: about 10 s, from 1 past run; without drift, evaluate, champion, serving and report"
        in status(project).output
    )


def test_it_asks_about_the_run_that_luigi_would_start(project: Project) -> None:
    decode(project)
    told = look(project, "--seed=7", "--flip-left-right")
    assert told["parameters"] == run_of(project, seed="7", flip_left_right="true").parameters()
    assert told["train"]["key"] != look(project)["train"]["key"]


def test_its_options_are_the_parameters_with_their_defaults() -> None:
    text = " ".join(verb("status", "--help").output.split())
    parameters = RetrainFlowers.get_param_names(include_significant=True)
    assert all(f"--{name.replace('_', '-')}" in text for name in parameters)
    assert "or its URL. [default: sample]" in text


def test_a_value_that_cannot_be_is_the_parameter_s_own_sentence_and_exit_code_2(project: Project) -> None:
    assert status(project, "--views=3") == Finished(2, "", "--views is '3'; it takes 1 or 2 or 4.\n")

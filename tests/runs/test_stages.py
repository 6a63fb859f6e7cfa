"""The registry of stages: it is complete, and its paths are those that the stages use."""

import importlib
from pathlib import Path

import pytest

from tasks.champion.spec import CHAMPION
from tasks.download.spec import DOWNLOAD
from tasks.drift.spec import DRIFT, STATISTICS_FILE
from tasks.runs.stages import RECORD, REGISTRY, RUN_STAGES, spec_of
from tasks.serving.spec import SERVING
from tasks.snapshot.spec import SNAPSHOT
from tasks.stage_spec import StageSpec
from tasks.storage.layout import DataRoot
from tests.support.repository import REPOSITORY

TASKS = REPOSITORY / "tasks"
ROOT = DataRoot(Path("data"))
KEY, DATASET, DATE = "0123456789abcdef", "sample-400", "2026-03-01"


def objects(module: str) -> list[object]:
    """Everything that the modules of a name, one a stage, define or import."""
    modules = [importlib.import_module(f"tasks.{path.parent.name}.{module}") for path in TASKS.glob(f"*/{module}.py")]
    return [value for each in modules for value in vars(each).values()]


def test_every_specification_is_registered() -> None:
    assert {spec for spec in objects("spec") if isinstance(spec, StageSpec)} == {*REGISTRY} - {RECORD}
    assert len({spec.name for spec in REGISTRY}) == len(REGISTRY)


def test_every_task_is_of_a_registered_stage() -> None:
    stages = {vars(task)["stage"] for task in objects("task") if isinstance(task, type) and "stage" in vars(task)}
    assert {path.parent.name for path in TASKS.glob("*/task.py")} <= stages <= {spec.name for spec in REGISTRY}


def test_a_run_ends_with_its_record_and_has_no_stage_of_other_commands() -> None:
    assert [spec.name for spec in RUN_STAGES[-2:]] == ["report", "record"]
    assert not {"predict", "compare", "statistics"} & {spec.name for spec in RUN_STAGES}


@pytest.mark.parametrize("stage", ["decode", "bottleneck", "train", "export", "evaluate", "report"])
def test_a_key_fills_the_path_that_the_stages_use(stage: str) -> None:
    (path,) = spec_of(stage).paths(ROOT, key=KEY)
    assert path == getattr(ROOT, stage)(KEY)
    assert spec_of(stage).key_in(path / "manifest.json", ROOT) == KEY


def test_a_dataset_and_a_date_fill_the_paths_that_the_stages_use() -> None:
    pointer, table = SNAPSHOT.paths(ROOT, dataset=DATASET, date=DATE, snapshot=KEY)
    assert (pointer, table) == (ROOT.snapshots(DATASET) / f"{DATE}.json", ROOT.snapshot(KEY))
    downloads = ROOT.downloads(DATASET)
    assert DOWNLOAD.paths(ROOT, dataset=DATASET, date=DATE, key=KEY) == [downloads / f"{DATE}.json", downloads / KEY]
    assert CHAMPION.paths(ROOT, permanent=True, dataset=DATASET) == [ROOT.champion(DATASET)]
    assert SERVING.paths(ROOT, permanent=True, dataset=DATASET) == [ROOT.serving(DATASET)]
    assert CHAMPION.paths(ROOT, dataset=DATASET, key=KEY) == [ROOT.decisions(DATASET) / f"{KEY}.json"]
    comparison, statistics = DRIFT.paths(ROOT, dataset=DATASET, key=KEY)
    assert (comparison.name, statistics.name) == (f"{KEY}.json", STATISTICS_FILE)
    assert RECORD.paths(ROOT, dataset=DATASET, date=DATE, parameters="0123abcd") == [
        ROOT.runs(DATASET) / f"{DATE}-0123abcd.json"
    ]


def test_a_stage_that_is_not_registered_has_no_outputs() -> None:
    assert (spec_of("later-2").name, spec_of("later-2").outputs) == ("later", ())

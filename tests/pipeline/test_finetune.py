"""Fine-tuning and CompareTraining: networks that are trained on pictures, and graphs that cannot be."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.compare import CompareTraining
from pipeline.summary import summarise
from tasks.errors import SettingError
from tests.pipeline.command import Finished, Project, forked
from tests.pipeline.in_process import retrain_here, run_of, start

pytestmark = pytest.mark.slow

PHOTOS = 30
DATE, NEXT = "2026-03-01", "2026-03-02"
OPTIONS = {"train": "finetune", "batch_size": "4", "epochs": "2", "image_size": "48"}


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Finished]:
    """The run that fine-tunes the default backbone."""
    project = Project.drawn(tmp_path_factory.mktemp("finetune"), PHOTOS)
    done = project.retrain_forked(**OPTIONS, date=DATE).check()
    return project, done


def test_a_network_is_trained_on_pictures_and_evaluated_as_a_head_is(finetuned: tuple[Project, Finished]) -> None:
    project, done = finetuned
    record = project.record(DATE)
    assert list(record["stages"]) == [
        "backbone",
        "snapshot",
        "decode",
        "drift",
        "train",
        "evaluate",
        "champion",
        "serving",
        "report",
    ]
    assert (record["bottleneck"], record["head"], record["network"]) == (None, None, record["stages"]["train"]["key"])
    assert (record["photos"], record["stages"]["decode"]["new"]) == (PHOTOS, PHOTOS)
    assert record["metrics"]["cross_validation"] is None
    # The flowers are drawn: a network that has learnt anything at all tells most of them apart.
    results = project.root / "evaluate" / record["evaluation"]
    rows = pq.read_table(results / "predictions.parquet").to_pylist()
    assert sum(row["predicted"] == row["label"] for row in rows) > 0.8 * PHOTOS
    assert json.loads((results / "metrics.json").read_text())["cross_validation"] is None
    assert "finetune: all weights" in Path(record["report"]).read_text()
    assert not (project.root / "bottleneck").exists()
    folder = project.root / "train" / record["network"]
    assert {path.name for path in folder.iterdir()} >= {"network.json", "network.weights.h5", "manifest.json"}
    assert not (folder / "checkpoints").exists()
    for line in (f"Network         {folder}", f"{PHOTOS} used, {PHOTOS} of them new", "Test accuracy"):
        assert line in done.output
    assert "After 100 training steps, loss = " in done.output
    assert "Cross-validated" not in done.output
    assert "Traceback" not in done.errors


def test_the_next_run_trains_nothing(finetuned: tuple[Project, Finished]) -> None:
    project, done = finetuned
    assert "Nothing to do" not in done.output
    assert project.retrain_forked(**OPTIONS, date=DATE).output.startswith("Nothing to do")
    retrain_here(project, **OPTIONS, date=NEXT)
    assert [project.new(NEXT)[stage] for stage in ("decode", "train", "evaluate")] == [0, 0, 0]


def test_the_summary_of_a_head_without_cross_validation_leaves_that_out(finetuned: tuple[Project, Finished]) -> None:
    project, _ = finetuned
    record = {**project.record(DATE), "head": "0123456789abcdef", "network": None}
    lines = summarise(record, Path("record.json"), "flowers")
    assert f"Head            {project.root / 'train' / '0123456789abcdef'}" in lines
    assert not [line for line in lines if line.startswith("Cross-validated")]


def compare(project: Project, **options: str) -> dict[str, str]:
    """The options of a comparison without time for more than a few steps."""
    fixed = {"dataset": str(project.photos), "data_root": str(project.root), "image_size": "0"}
    return {**fixed, "epochs": "1", "budget_minutes": "0.1", **options}


def comparison(project: Project, date: str) -> dict[str, Any]:
    """The record of the only comparison of a date."""
    (path,) = project.root.glob(f"compare/runs/*/{date}-*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_comparison_trains_every_way_once_and_finds_them_again_on_another_date(
    tmp_path: Path, small: dict[str, str]
) -> None:
    project = Project.drawn(tmp_path, 45)
    given = {"backbone": small["backbone"], "scaling": "symmetric", "photos_per_label": "2", "seeds": "1"}
    options = compare(project, **given)
    first = forked("CompareTraining", {**options, "date": DATE}).check()
    found = comparison(project, DATE)
    assert (found["cells"], found["cells_new"]) == (3, 3)
    ways = ["head", "scratch", "finetune"]
    assert [line.split()[0] for line in first.output.splitlines() if "photos a label, draw 0" in line] == ways
    table = pq.read_table(found["table"]).to_pylist()
    assert [(row["way"], row["photos_per_label"]) for row in table] == [(way, 2) for way in ways]
    assert len({row["test_photos"] for row in table}) == 1
    assert all(row["photos"] == 6 and row["seconds"] > 0 and row["passes"] > 0 for row in table)
    assert Path(found["report"]).is_file()

    assert forked("CompareTraining", {**options, "date": DATE}).output.startswith("Nothing to do")
    forked("CompareTraining", {**options, "date": NEXT}).check()
    later = comparison(project, NEXT)
    assert (later["cells"], later["cells_new"], later["comparison"]) == (3, 0, found["comparison"])


def test_a_graph_is_refused_before_any_photo_is_read(project: Project, tmp_path: Path, small: dict[str, str]) -> None:
    from tasks.runtime.tensorflow_import import keras  # noqa: PLC0415 (takes seconds)

    keras.saving.load_model(small["backbone"]).export(tmp_path / "graph", verbose=False)
    own = {"backbone": str(tmp_path / "graph"), "image_size": "0", "scaling": "symmetric"}
    for run in (
        run_of(project, **{**OPTIONS, **own}),
        CompareTraining.from_str_params(compare(project, **own)),
    ):
        with pytest.raises(SettingError, match="graph is a graph whose weights are constants: it cannot be trained"):
            start(run)
    assert not (project.root / "snapshot").exists()

"""Fine-tuning as a person starts it: the command, its report, and a second time that has nothing to do."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.summary import summarise
from tasks.runtime.tensorflow_import import keras
from tests.pipeline.command import Finished, Project, draw
from tests.pipeline.first_stages import retrain_here
from tests.train.tiny import tiny

PHOTOS = 30
OPTIONS = {"date": "2026-03-01", "train": "finetune", "batch_size": "4", "epochs": "2", "image_size": "48"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Photos of three labels, drawn."""
    folder = tmp_path_factory.mktemp("finetune")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(PHOTOS))
    return project


@pytest.fixture(scope="module")
def done(project: Project) -> Finished:
    """The run that fine-tunes the default backbone, and ends well."""
    done = project.retrain_forked(**OPTIONS)
    assert done.code == 0, done.errors
    return done


def test_network_is_trained_on_pictures_and_evaluated_as_a_head_is(project: Project, done: Finished) -> None:
    assert "Test accuracy" in done.output
    record = project.record("2026-03-01")
    assert list(record["stages"]) == ["backbone", "snapshot", "decode", "train", "evaluate", "champion", "report"]
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


def test_the_last_lines_say_where_the_network_is(project: Project, done: Finished) -> None:
    network = project.root / "train" / project.record("2026-03-01")["network"]
    assert f"Network         {network}" in done.output
    assert f"{PHOTOS} used, {PHOTOS} of them new" in done.output
    assert "Cross-validated" not in done.output
    assert "After 100 training steps, loss = " in done.output
    assert "Traceback" not in done.errors


def test_the_same_run_again_has_nothing_to_do(project: Project, done: Finished) -> None:
    assert "Nothing to do" not in done.output
    again = project.retrain(**OPTIONS)
    assert again.code == 0
    assert again.output.startswith("Nothing to do")
    retrain_here(project, **{**OPTIONS, "date": "2026-03-02"})
    new = project.new("2026-03-02")
    assert (new["decode"], new["train"], new["evaluate"]) == (0, 0, 0)


def test_the_last_lines_of_a_head_without_cross_validation_leave_that_out(project: Project, done: Finished) -> None:
    assert "Network" in done.output
    record = {**project.record("2026-03-01"), "head": "0123456789abcdef", "network": None}
    lines = summarise(record, Path("record.json"), "flowers")
    assert f"Head            {project.root / 'train' / '0123456789abcdef'}" in lines
    assert not [line for line in lines if line.startswith("Cross-validated")]


def test_a_graph_is_refused_before_any_photo_is_looked_at(project: Project, tmp_path: Path) -> None:
    keras.saving.load_model(tiny(tmp_path).weights).export(tmp_path / "graph", verbose=False)
    apart = Project(project.photos, tmp_path / "data")
    own = {"backbone": str(tmp_path / "graph"), "image_size": "0", "scaling": "symmetric"}
    done = apart.retrain_forked(**{**OPTIONS, **own})
    assert done.code == 51
    assert "graph is a graph whose weights are constants: it cannot be trained further" in done.errors
    assert "Traceback" not in done.errors
    assert not (apart.root / "snapshot").exists()

"""CompareTraining: three ways to train, cell by cell, and nothing trained twice."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.pipeline.command import Finished, draw, forked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few photos of three labels."""
    draw(tmp_path / "photos", range(45))
    return tmp_path


def compare(folder: Path, **options: str) -> Finished:
    """Compare quickly: no time for more than a few steps."""
    given = {name.replace("_", "-"): value for name, value in options.items()}
    fixed = {"dataset": str(folder / "photos"), "data-root": str(folder / "data"), "image-size": "0"}
    return forked("CompareTraining", {**fixed, "epochs": "1", "budget-minutes": "0.1", **given})


def record(folder: Path, date: str) -> dict[str, Any]:
    """The record of the only comparison of a date."""
    (path,) = folder.glob(f"data/compare/runs/*/{date}-*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_every_way_is_trained_once_and_found_again_on_another_date(folder: Path) -> None:
    from tests.train.tiny import tiny  # noqa: PLC0415 (imports TensorFlow)

    # The default backbone is fine-tuned in test_finetune.py; of this one, TensorFlow's graphs are made in a moment.
    options = {"backbone": str(tiny(folder).weights), "scaling": "symmetric", "photos_per_label": "2", "seeds": "1"}
    first = compare(folder, **options, date="2026-03-01")
    assert first.code == 0, first.errors
    found = record(folder, "2026-03-01")
    assert (found["cells"], found["cells_new"]) == (3, 3)
    lines = [line for line in first.output.splitlines() if "photos a label, draw 0" in line]
    assert [line.split()[0] for line in lines] == ["head", "scratch", "finetune"]
    table = pq.read_table(found["table"]).to_pylist()
    assert [(row["way"], row["photos_per_label"]) for row in table] == [("head", 2), ("scratch", 2), ("finetune", 2)]
    assert {row["test_photos"] for row in table} == {table[0]["test_photos"]}
    assert all(row["photos"] == 6 and row["seconds"] > 0 and row["passes"] > 0 for row in table)
    assert Path(found["report"]).is_file()

    assert compare(folder, **options, date="2026-03-01").output.startswith("Nothing to do")
    assert compare(folder, **options, date="2026-03-02").code == 0
    later = record(folder, "2026-03-02")
    assert (later["cells"], later["cells_new"], later["comparison"]) == (3, 0, found["comparison"])


def test_a_graph_of_constants_is_refused_before_any_photo_is_decoded(folder: Path) -> None:
    from tests.backbone.inception import build_graph, zip_graph  # noqa: PLC0415 (takes seconds)

    archive = zip_graph(folder, build_graph(widths=0.02))
    done = compare(folder, backbone="inception_2015", weights=str(archive))
    assert done.code == 51
    assert "inception_2015 is a graph whose weights are constants" in done.errors
    assert not (folder / "data" / "decode").exists()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("photos_per_label", "5,many", "--photos-per-label is '5,many'; it takes different whole numbers above zero"),
        ("epochs", "0", "--epochs is 0"),
        ("budget_minutes", "-1", "--budget-minutes is -1.0"),
    ],
)
def test_a_value_that_cannot_be_is_named(folder: Path, option: str, value: str, says: str) -> None:
    done = compare(folder, **{option: value})
    assert done.code == 51
    assert says in done.errors

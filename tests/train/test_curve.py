"""The learning curve's file: points in the order of their steps, each once, for people and their tools."""

import datetime as dt
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.errors import StoreError
from tasks.shards.schemas import CURVE
from tasks.train.curve import CurvePoint, add_point, curve_path, read_curve
from tests.train.examples import classic


def point(step: int, accuracy: float = 0.5) -> CurvePoint:
    return CurvePoint(step, accuracy, 0.7, 40, dt.datetime(2026, 3, 1, 12, 0, 0, 5000, dt.UTC))


def add(folder: Path, *points: CurvePoint) -> None:
    for each in points:
        add_point(each, folder, "averages", classic())


def test_points_are_in_the_order_of_their_steps_each_once_and_the_later_one_counts(tmp_path: Path) -> None:
    add(tmp_path, point(200), point(100), point(300), point(200, accuracy=0.9))
    table = read_curve(curve_path(tmp_path, "averages"))
    assert table["step"].to_pylist() == [100, 200, 300]
    assert table["accuracy"].to_pylist() == [0.5, 0.9, 0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["curve-averages.parquet"]
    assert read_curve(curve_path(tmp_path, "plain")) == CURVE.empty_table()


def test_pandas_opens_it_and_its_metadata_say_where_it_comes_from(tmp_path: Path) -> None:
    add(tmp_path, point(100))
    path = curve_path(tmp_path, "averages")
    (row,) = pd.read_parquet(path).to_dict("records")
    assert row == {
        "step": 100,
        "accuracy": 0.5,
        "log_loss": 0.7,
        "photos": 40,
        "time": pd.Timestamp("2026-03-01 12:00:00.005", tz="UTC"),
    }
    metadata = pq.read_schema(path).metadata
    assert (metadata[b"stage"], metadata[b"key"]) == (b"train", tmp_path.name.encode())
    assert json.loads(metadata[b"settings"])["seed"] == classic().seed


@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_a_damaged_curve_is_an_error_that_says_what_to_delete(tmp_path: Path, share: float) -> None:
    add(tmp_path, point(100))
    path = curve_path(tmp_path, "averages")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(StoreError, match=r"curve-averages\.parquet is damaged .*Delete it"):
        add(tmp_path, point(200))


def test_a_curve_of_other_columns_is_an_error(tmp_path: Path) -> None:
    path = curve_path(tmp_path, "averages")
    pq.write_table(CURVE.empty_table().drop_columns(["photos"]), path)
    with pytest.raises(StoreError, match="other columns"):
        read_curve(path)

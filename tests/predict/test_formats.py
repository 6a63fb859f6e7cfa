"""Files of predictions, as other programs read them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.decode.images import Picture
from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.predict.formats import Row, rows_of, write_csv, write_json, write_rows
from tasks.predict.predictor import Predictor
from tasks.predict.stream import tabulate
from tasks.shards.schemas import PREDICTED
from tasks.train.head import Predictions

LABELS = ("daisy", "roses", "tulips")
PICTURE = Picture(b"", 1, 1, "JPEG", "RGB")
KEY = "0" * 64


@pytest.fixture
def tables() -> list[pa.Table]:
    """Two photos with a prediction, and one without between them."""
    tried = [
        DecodeResult(Photo(KEY, 'a, "b".jpg'), PICTURE),
        DecodeResult(Photo("", "missing.jpg"), Rejection(Reason.VANISHED, "It is gone.")),
        DecodeResult(Photo(KEY, "café.jpg"), PICTURE),
    ]
    probabilities = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32)
    novelty = np.array([1.5, -2], np.float32)
    parts = ((tried[:2], slice(1)), (tried[2:], slice(1, 2)))
    return [tabulate(own, Predictions(probabilities[at], novelty[at]), LABELS, threshold=1.0) for own, at in parts]


def as_csv(tables: list[pa.Table], top: int) -> str:
    file = io.StringIO()
    write_csv(rows_of(tables, LABELS, top), top, file)
    return file.getvalue()


def as_json(tables: list[pa.Table], top: int) -> tuple[str, list[dict[str, Any]]]:
    file = io.StringIO()
    write_json(rows_of(tables, LABELS, top), file)
    return file.getvalue(), json.loads(file.getvalue())


def test_rows_have_the_most_probable_labels_first(tables: list[pa.Table]) -> None:
    first, missing, last = rows_of(tables, LABELS, 2)
    assert first == Row('a, "b".jpg', KEY, (("tulips", 0.7), ("roses", 0.2)), 1.5, True, None, None)
    assert missing == Row("missing.jpg", None, (), None, None, "vanished", "There is no such file. Check its path.")
    # Of labels that are as probable, the first one.
    assert last.ranked == (("daisy", 0.5), ("roses", 0.25))
    assert (last.novelty, last.unknown) == (-2, False)


@pytest.mark.parametrize(("novelty", "threshold"), [([3.0], None), (None, None), (None, 1.0)])
def test_without_a_threshold_or_a_novelty_nothing_is_said_about_unknown_photos(
    novelty: list[float] | None, threshold: float | None
) -> None:
    tried = [DecodeResult(Photo(KEY, "a.jpg"), PICTURE)]
    novel = None if novelty is None else np.array(novelty, np.float32)
    predictions = Predictions(np.array([[0.1, 0.2, 0.7]], np.float32), novel)
    (row,) = rows_of([tabulate(tried, predictions, LABELS, threshold)], LABELS, 1)
    assert (row.ranked[0][0], row.novelty, row.unknown) == ("tulips", None, None)


def test_csv_has_columns_for_each_rank_and_pandas_reads_numbers(tables: list[pa.Table]) -> None:
    text = as_csv(tables, 2)
    first, missing, last = csv.DictReader(io.StringIO(text))
    assert list(first) == [
        "path", "predicted", "probability", "predicted_2", "probability_2", "novelty", "unknown", "reason", "message",
        "sha256",
    ]  # fmt: skip
    assert [(row["novelty"], row["unknown"]) for row in (first, missing, last)] == [
        ("1.5", "true"), ("", ""), ("-2.0", "false")
    ]  # fmt: skip
    assert (first["path"], first["predicted"], first["probability_2"]) == ('a, "b".jpg', "tulips", "0.2")
    assert (missing["predicted"], missing["probability_2"], missing["reason"]) == ("", "", "vanished")
    assert as_csv(tables, 1).splitlines()[0] == "path,predicted,probability,novelty,unknown,reason,message,sha256"
    frame = pd.read_csv(io.StringIO(text))
    assert frame["probability"].dtype == np.float64
    assert frame["predicted"].isna().tolist() == [False, True, False]
    assert frame["unknown"].tolist()[::2] == [True, False]


def test_json_is_a_list_with_an_object_a_line(tables: list[pa.Table]) -> None:
    text, (first, missing, last) = as_json(tables, 3)
    assert [line[0] for line in text.splitlines()] == ["[", "{", "{", "{", "]"]
    assert (first["predicted"], first["probability"]) == ("tulips", 0.7)
    assert list(first["probabilities"]) == ["tulips", "roses", "daisy"]
    assert (missing["predicted"], missing["probabilities"], missing["sha256"]) == (None, None, None)
    assert [(each["novelty"], each["unknown"]) for each in (first, missing, last)] == [
        (1.5, True), (None, None), (-2.0, False)
    ]  # fmt: skip
    assert last["path"] == "café.jpg"
    assert as_json([], 1) == ("[]\n", [])


def test_parquet_has_all_probabilities_and_names_their_labels(
    tables: list[pa.Table], predictor: Predictor, tmp_path: Path
) -> None:
    model = predictor.model
    write_rows(iter(tables), model, tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups == 1
    assert file.schema_arrow.equals(PREDICTED)
    assert json.loads(file.schema_arrow.metadata[b"settings"]) == {"model": model.key, "labels": list(model.labels)}
    assert file.schema_arrow.metadata[b"stage"] == b"predict"
    assert file.read().to_pylist() == pa.concat_tables(tables).to_pylist()

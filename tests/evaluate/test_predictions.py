"""The table of predictions: one row a photo, in the public schema, written and read back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.errors import StoreError
from tasks.evaluate.predictions import (
    PredictedPhotos,
    publish_predictions,
    read_predicted_photos,
    read_predictions,
    tabulate_predictions,
)
from tasks.shards.schemas import PREDICTIONS
from tasks.snapshot.splits import assign_splits
from tests.support.data_root import draw_photos, draw_probabilities

LABELS = ("Gänseblümchen", "roses", "two words")


@pytest.fixture
def predicted() -> PredictedPhotos:
    return PredictedPhotos(draw_photos((10, 20, 15), LABELS), draw_probabilities(45, 3))


def test_each_row_has_the_prediction_of_its_photo(predicted: PredictedPhotos) -> None:
    photos, table = predicted.photos, tabulate_predictions(predicted)
    assert table.schema.equals(PREDICTIONS)
    rows = table.to_pylist()
    assert [row["sha256"] for row in rows] == photos.sha256 == sorted(photos.sha256)
    for index, row in enumerate(rows):
        assert row["probabilities"] == predicted.probabilities[index].tolist()
        assert sum(row["probabilities"]) == pytest.approx(1, rel=1e-6)
        assert row["predicted"] == LABELS[max(range(3), key=row["probabilities"].__getitem__)]
        assert row["label"] == LABELS[photos.truth[index]] == row["path"].split("/")[0]
        assert row["path"] == photos.paths[index]
        assert row["split"] == photos.splits.names[index]
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_a_table_of_more_probabilities_than_one_array_holds_is_the_same(
    predicted: PredictedPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1,000 labels that is so from 2,147,484 photos on."""
    whole = tabulate_predictions(predicted)
    monkeypatch.setattr("tasks.evaluate.predictions._MAX_VALUES", 31)
    chunks = tabulate_predictions(predicted)
    assert chunks["probabilities"].num_chunks == 5
    assert chunks.equals(whole)


def test_probabilities_of_a_cross_validation_are_kept_beside_the_others(predicted: PredictedPhotos) -> None:
    assert tabulate_predictions(predicted)["cross_validated"].null_count == 45
    crossed = draw_probabilities(45, 3, seed=1)
    table = tabulate_predictions(replace(predicted, crossed=crossed))
    np.testing.assert_array_equal(table["cross_validated"].to_pylist(), crossed)


def test_predictions_of_an_earlier_version_are_read(predicted: PredictedPhotos, tmp_path: Path) -> None:
    publish_predictions(tmp_path, predicted, {})
    path = tmp_path / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop(["cross_validated"]), path)
    assert read_predicted_photos(tmp_path).photos.sha256 == predicted.photos.sha256


def test_predictions_are_read_as_they_were_published(predicted: PredictedPhotos, tmp_path: Path) -> None:
    publish_predictions(tmp_path, predicted, {})
    read = read_predicted_photos(tmp_path)
    assert (read.photos.sha256, read.photos.paths) == (predicted.photos.sha256, predicted.photos.paths)
    assert read.photos.labels == LABELS
    np.testing.assert_array_equal(read.photos.truth, predicted.photos.truth)
    np.testing.assert_array_equal(read.photos.splits.ids, predicted.photos.splits.ids)
    np.testing.assert_array_equal(read.probabilities, predicted.probabilities)
    wrong = predicted.probabilities.argmax(axis=1) != predicted.photos.truth
    np.testing.assert_array_equal(read.mistakes, wrong & predicted.photos.of("test"))
    assert read_predictions(tmp_path, ["sha256", "split"]).column_names == ["sha256", "split"]


@pytest.mark.parametrize("damage", ["gone", "bytes", "columns", "metadata", "labels"])
def test_predictions_that_cannot_be_read_are_named(predicted: PredictedPhotos, tmp_path: Path, damage: str) -> None:
    publish_predictions(tmp_path, predicted, {"labels": LABELS[:2]} if damage == "labels" else {})
    path = tmp_path / "predictions.parquet"
    table = pq.read_table(path)
    if damage == "gone":
        path.unlink()
    elif damage == "bytes":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "columns":
        pq.write_table(table.drop(["split"]), path)
    elif damage == "metadata":
        pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(StoreError, match=r"predictions\.parquet cannot be read.*Delete its folder"):
        read_predicted_photos(tmp_path)
    if damage in ("gone", "bytes", "columns"):
        with pytest.raises(StoreError, match=r"predictions\.parquet cannot be read.*Delete its folder"):
            read_predictions(tmp_path, ["label", "split"])


def test_given_splits_are_read_back_and_their_test_photos_have_no_cross_validation(
    predicted: PredictedPhotos, tmp_path: Path
) -> None:
    photos = predicted.photos
    # Not one of them is as the hash draws it, and a label has no test photo.
    given = [
        "test" if name == "train" and label else "train"
        for name, label in zip(photos.splits.names, photos.truth, strict=True)
    ]
    names = [LABELS[label] for label in photos.truth]
    splits = assign_splits(photos.sha256, names, given)
    own = replace(predicted, photos=replace(photos, splits=splits), crossed=draw_probabilities(45, 3, seed=1))
    publish_predictions(tmp_path, own, {})
    table, found = read_predictions(tmp_path), read_predicted_photos(tmp_path).photos
    assert found.splits.names == splits.names == table["split"].to_pylist()
    assert found.splits.is_given
    assert table["cross_validated"].is_null().to_pylist() == found.of("test").tolist()

"""Whether an export says what the pipeline says: how it is measured, and from where on it is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import PREDICTIONS
from tasks.errors import ModelError, StoreError
from tasks.export.agreement import KnownPhotos, allowed, check, judge, read_files, read_known
from tests.bottleneck.pictures import encode, key_of

LABELS = ("blue", "red")


def known(count: int) -> KnownPhotos:
    """Photos of which the pipeline calls every other one red, and rightly so."""
    red = np.arange(count) % 2
    probabilities = np.stack([1 - red, red], axis=1).astype(np.float32) * 0.8 + 0.1
    keys = [key_of(number) for number in range(count)]
    return KnownPhotos(keys, [f"{number}.png" for number in range(count)], red, probabilities, LABELS)


def figures(photos: int, disagreements: int) -> dict[str, float]:
    return {"photos": photos, "agreement": 1 - disagreements / photos}


def test_agreement_accuracy_and_largest_difference_are_measured() -> None:
    photos = known(10)
    said = photos.probabilities.copy()
    said[0] = said[0, ::-1]
    said[1] += [0.05, -0.05]
    judged = judge(photos, said)
    assert (judged["photos"], judged["agreement"], judged["accuracy"]) == (10, 0.9, 0.9)
    assert judged["largest_difference"] == pytest.approx(0.8)
    assert judged["metrics"]["confusion"] == [[4, 1], [0, 5]]


def test_no_photo_gives_no_figure() -> None:
    judged = judge(known(4).take([]), np.empty((0, 2), np.float32))
    assert judged["photos"] == 0
    assert judged["agreement"] is None
    check({"saved_model": judged}, "float32")


@pytest.mark.parametrize(("photos", "bar", "most"), [(1, 0.99, 1), (40, 0.99, 2), (218, 0.99, 5), (5000, 0.99, 62)])
def test_disagreements_are_put_down_to_chance_as_often_as_one_test_split_in_twenty(
    photos: int, bar: float, most: int
) -> None:
    assert allowed(photos, bar) == most
    drawn = np.random.default_rng(0).binomial(photos, 1 - bar, 100_000)
    assert (drawn > most).mean() < 0.05


def test_export_at_the_edge_passes_and_one_disagreement_more_is_refused() -> None:
    check({"saved_model": figures(218, 5), "model-int8.tflite": figures(218, 11)}, "float32")
    with pytest.raises(ModelError, match=r"saved_model names another label .* 6 of 218 test photos: .* 97\.2%.* 99%"):
        check({"saved_model": figures(218, 6)}, "float32")


@pytest.mark.parametrize(
    ("form", "precision", "remedy"),
    [
        ("model.tflite", "int8", "trained in int8: give --precision float32"),
        ("saved_model", "float32", "Convert photos with colour profiles to sRGB"),
        ("model-int8.tflite", "float32", "Give --precision int8"),
    ],
)
def test_refusal_says_what_to_do(form: str, precision: str, remedy: str) -> None:
    with pytest.raises(ModelError, match=remedy):
        check({form: figures(100, 50)}, precision)


def test_files_that_are_gone_changed_or_of_another_format_are_left_out(tmp_path: Path) -> None:
    contents = [encode(np.full((2, 2, 3), number, np.uint8)) for number in range(3)] + [b"RIFF....WEBP", b""]
    keys = [hashlib.sha256(content).hexdigest() for content in contents]
    paths = [f"{number}.jpg" for number in range(5)]
    for path, content in zip(paths, contents, strict=True):
        (tmp_path / path).write_bytes(content)
    (tmp_path / paths[0]).unlink()
    (tmp_path / paths[1]).write_bytes(contents[2])
    five = KnownPhotos(keys, paths, np.zeros(5, np.int64), np.arange(10, dtype=np.float32).reshape(5, 2), LABELS)
    photos, files, left_out = read_files(five, tmp_path)
    assert files == [contents[2]]
    assert photos.keys == [keys[2]]
    assert photos.probabilities.tolist() == [[4, 5]]
    assert left_out == {"gone": 1, "changed": 1, "neither JPEG nor PNG": 2}


def test_test_photos_with_the_smallest_keys_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "sha256": f"{number:064x}",
            "path": f"red/{number}.jpg",
            "label": LABELS[number % 2],
            "predicted": "red",
            "probabilities": [0.25, number / 10],
            "split": "test" if number > 2 else "train",
        }
        for number in reversed(range(8))
    ]
    pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), tmp_path / "predictions.parquet")
    photos = read_known(tmp_path / "predictions.parquet", LABELS, most=3)
    assert photos.paths == ["red/3.jpg", "red/4.jpg", "red/5.jpg"]
    assert photos.truth.tolist() == [1, 0, 1]
    np.testing.assert_allclose(photos.probabilities, [[0.25, 0.3], [0.25, 0.4], [0.25, 0.5]])


def test_labels_that_an_earlier_version_kept_in_another_form_of_unicode_are_known(tmp_path: Path) -> None:
    row = {"sha256": key_of(1), "path": "a.jpg", "label": "cafe\u0301", "predicted": "cafe\u0301", "split": "test"}
    table = pa.Table.from_pylist([{**row, "probabilities": [0.25, 0.75]}], PREDICTIONS)
    pq.write_table(table, tmp_path / "predictions.parquet")
    assert read_known(tmp_path / "predictions.parquet", ("blue", "caf\u00e9")).truth.tolist() == [1]


def test_predictions_that_are_gone_or_of_other_labels_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"predictions\.parquet cannot be read .* run again"):
        read_known(tmp_path / "predictions.parquet", LABELS)

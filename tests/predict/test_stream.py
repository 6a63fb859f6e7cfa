"""The stream of predictions: the numbers of the evaluation, a row for every photo, in order."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.paths import to_path
from tasks.predict.inputs import find_photos
from tasks.predict.predictor import Predictor
from tasks.predict.stream import NO_PREDICTIONS, predict_photos, tabulate
from tasks.shards.schemas import PREDICTED
from tests.predict.trained import COUNT, Trained, draw
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore


def test_photos_are_predicted_as_their_evaluation_did(trained: Trained, predictor: Predictor) -> None:
    photos = find_photos([trained.photos]).photos
    tables = list(predict_photos(photos, Path(), predictor, told := Tally()))
    assert max(map(len, tables)) <= predictor.batch_size
    table = pa.concat_tables(tables)
    assert table.schema == PREDICTED
    assert table["path"].to_pylist() == [photo.path for photo in photos]
    assert (told.total, told.unit, told.done) == (COUNT, "photo", COUNT)
    expected = {row["sha256"]: row for row in trained.evaluated().to_pylist()}
    for row in table.to_pylist():
        own = expected[row["sha256"]]
        np.testing.assert_allclose(row["probabilities"], own["probabilities"], atol=1e-5)
        assert row["predicted"] == own["predicted"]
        assert row["probability"] == max(row["probabilities"])
        assert (row["reason"], row["message"]) == (None, None)


def test_photos_that_cannot_be_read_are_rows_in_their_places(
    trained: Trained, predictor: Predictor, tmp_path: Path
) -> None:
    draw(tmp_path / "first.jpg", 1)
    (tmp_path / "empty.jpg").touch()
    shutil.copy(next(trained.photos.rglob("*.jpg")), tmp_path / "last.jpg")
    known = [Photo("", name) for name in ("first.jpg", "missing.jpg", "empty.jpg")]
    photos = [*known, Photo("0" * 64, "last.jpg"), Photo("0" * 64, "gone.jpg"), Photo("", "last.jpg")]
    rows = pa.concat_tables(predict_photos(photos, tmp_path, predictor, Tally())).to_pylist()
    assert [row["reason"] for row in rows] == [None, "vanished", "empty", "changed", "vanished", None]
    assert [row["predicted"] is None for row in rows] == [False, True, True, True, True, False]
    assert rows[1]["sha256"] is None
    assert rows[2]["sha256"] is not None
    # The decode stage would speak of a snapshot.
    assert not any("snapshot" in (row["message"] or "") for row in rows)


def test_photos_of_an_object_store_are_predicted_among_others_under_their_addresses(
    object_store: ObjectStore, predictor: Predictor, tmp_path: Path
) -> None:
    here, there = tmp_path / "a.jpg", to_path(object_store.url("photos"))
    draw(here, 1)
    for name in ("a.jpg", "in/b.jpg"):
        (there / name).write_bytes(here.read_bytes())
    photos = find_photos([there / "a.jpg", here, there / "gone.jpg", there / "in"]).photos
    table = pa.concat_tables(predict_photos(photos, Path(), predictor, Tally()))
    places = [there / "a.jpg", here, there / "gone.jpg", there / "in" / "b.jpg"]
    assert table["path"].to_pylist() == list(map(str, places))
    assert table["reason"].to_pylist() == [None, None, "vanished", None]
    assert len(set(table["sha256"].drop_null().to_pylist())) == 1


def test_name_that_is_not_utf8_is_written_with_escapes() -> None:
    path = os.fsdecode(b"caf\xe9.jpg")
    tried = [DecodeResult(Photo("", path), Rejection(Reason.UNREADABLE, "It cannot."))]
    table = tabulate(tried, NO_PREDICTIONS, ["daisy"])
    assert table["path"].to_pylist() == ["caf\\udce9.jpg"]

"""A folder's predictions: every photo has a row, and the model predicts each photo once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.keys import fingerprint
from tasks.paths import AnyPath, to_path
from tasks.predict.folder import FolderCounts, _assemble, _hash, predict_folder, predictions_key, read_folder_state
from tasks.shards.parquet import read_parquet
from tasks.shards.schemas import PREDICTED
from tasks.storage.files import publish_folder
from tasks.storage.layout import DataRoot
from tests.predict.trained import COUNT, Trained, draw
from tests.snapshot.aging import recalling_new_files
from tests.snapshot.parquet.parquet_files import parquet, photos_in_rows
from tests.snapshot.photo_files import put
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def photos(trained: Trained, tmp_path: Path) -> Iterator[Path]:
    """A copy of the photos that may be changed; their hashes are recalled."""
    folder = tmp_path / "in"
    shutil.copytree(trained.photos, folder)
    with recalling_new_files():
        yield folder


def predict(
    trained: Trained, photos: AnyPath, root: DataRoot, told: Tally | None = None
) -> tuple[FolderCounts, pa.Table]:
    source = read_folder_state(photos)
    counts = predict_folder(source, trained.folder, root, told or Tally())
    key = predictions_key(trained.folder.name, source.listing)
    return counts, read_parquet(root.below("predict", key) / "predictions.parquet")


def test_every_photo_has_a_row_with_the_numbers_of_the_evaluation(
    trained: Trained, photos: Path, root: DataRoot
) -> None:
    counts, table = predict(trained, photos, root)
    assert (counts.new, counts.reused, sum(counts.labels.values()), counts.reasons) == (COUNT, 0, COUNT, {})
    assert table.schema == PREDICTED
    paths = table["path"].to_pylist()
    assert paths == sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    own = {row["path"]: row for row in table.to_pylist()}
    for row in trained.evaluated().to_pylist():
        np.testing.assert_allclose(own[row["path"]]["probabilities"], row["probabilities"], atol=1e-6)


def test_only_new_photos_are_hashed_and_predicted(trained: Trained, photos: Path, root: DataRoot) -> None:
    predict(trained, photos, root)
    draw(photos / "new.jpg", COUNT)
    shutil.copy(photos / "red" / "01.jpg", photos / "copy.jpg")
    (photos / "blue" / "00.jpg").rename(photos / "moved.jpg")
    counts, table = predict(trained, photos, root, told := Tally())
    assert (counts.new, counts.reused) == (1, COUNT + 1)
    # Hashed are the new one, the copy and the moved one; the model predicts one photo.
    assert (told.beginnings, told.total, told.done) == (2, 1, 1)
    rows = {row["path"]: row for row in table.to_pylist()}
    assert len(rows) == COUNT + 2
    assert {**rows["copy.jpg"], "path": ""} == {**rows["red/01.jpg"], "path": ""}


def test_photos_of_an_object_store_are_predicted_into_one_and_the_model_is_asked_of_each_once(
    object_store: ObjectStore, trained: Trained
) -> None:
    there, far = to_path(object_store.url("in")), DataRoot(to_path(object_store.url("data")))
    with publish_folder(there) as folder:
        shutil.copytree(trained.photos, folder, dirs_exist_ok=True)
    counts, table = predict(trained, there, far)
    assert (counts.new, counts.reused, counts.reasons) == (COUNT, 0, {})
    names = ["path", "sha256", "predicted"]
    evaluated = trained.evaluated().select(names).sort_by("path")
    assert table.select(names).to_pylist() == evaluated.to_pylist()
    again, same = predict(trained, there, far)
    assert (again.new, again.reused) == (0, COUNT)
    assert same.equals(table)


def test_another_folder_with_the_same_photos_or_none_does_not_ask_the_model(
    trained: Trained, photos: Path, root: DataRoot, tmp_path: Path
) -> None:
    predict(trained, photos, root)
    shutil.copytree(photos, tmp_path / "other" / "deep")
    (tmp_path / "empty").mkdir()
    for name, count in (("other", COUNT), ("empty", 0)):
        counts, table = predict(trained, tmp_path / name, root, told := Tally())
        assert (counts.new, counts.reused, len(table), table.schema) == (0, count, count, PREDICTED)
        assert told.prepared == []


def test_run_that_was_killed_goes_on_from_its_last_shard(
    trained: Trained, photos: Path, root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.predict.folder.ROWS_PER_SHARD", 10)

    class Killed(Tally):
        def advance(self, count: int) -> None:
            super().advance(count)
            if self.prepared and self.done > COUNT / 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(trained, photos, root, Killed())
    kept = sum(pq.read_metadata(shard).num_rows for shard in root.path.glob("predict/*/part-*.parquet"))
    assert kept >= 10
    assert not list(root.path.glob("predict/*/predictions.parquet"))
    counts, table = predict(trained, photos, root)
    assert (counts.new, counts.reused) == (COUNT - kept, kept)
    assert len(table) == COUNT
    assert table["predicted"].null_count == 0


def test_photos_without_a_prediction_are_rows_and_are_tried_again(
    trained: Trained, photos: Path, root: DataRoot
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (photos / "empty.jpg").touch()
    shutil.copy(photos / "broken.jpg", photos / "broken too.jpg")
    source = read_folder_state(photos)
    (photos / "red" / "01.jpg").unlink()  # between the walk and the reading
    counts = predict_folder(source, trained.folder, root, Tally())
    assert (counts.new, counts.reused) == (COUNT - 1, 0)
    assert counts.reasons == {"damaged": 2, "empty": 1, "vanished": 1}
    table = pq.read_table(
        root.below("predict", predictions_key(trained.folder.name, source.listing)) / "predictions.parquet"
    )
    missing = {row["path"]: row for row in table.to_pylist() if row["predicted"] is None}
    assert set(missing) == {"broken too.jpg", "broken.jpg", "empty.jpg", "red/01.jpg"}
    assert missing["red/01.jpg"]["sha256"] is None
    assert missing["broken.jpg"]["sha256"] == missing["broken too.jpg"]["sha256"] is not None
    again, _ = predict(trained, photos, root)
    assert (again.new, again.reused, again.reasons) == (0, COUNT - 1, {"damaged": 2, "empty": 1})


def test_a_photo_replaced_with_the_same_size_and_mtime_is_predicted_anew(
    trained: Trained, photos: Path, root: DataRoot
) -> None:
    _, before = predict(trained, photos, root)
    photo = photos / "red" / "01.jpg"
    status, blue = photo.stat(), (photos / "blue" / "00.jpg").read_bytes()
    other = photos / "new"
    other.write_bytes(blue[: status.st_size].ljust(status.st_size, b"\0"))
    other.replace(photo)
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    _, after = predict(trained, photos, root)
    changed = [old["path"] for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True) if old != new]
    assert changed == ["red/01.jpg"]


def test_a_photo_that_changed_unseen_has_no_prediction_once_and_is_read_again_in_the_next_run(
    trained: Trained, photos: Path, root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.snapshot.walk.file_version", lambda _: "as ever")
    source = read_folder_state(photos)
    # As where the run that hashed them was killed before it predicted them.
    _hash(source, root.below("predict", fingerprint({"folder": str(photos)})) / "hashes.parquet", Tally())
    photo = photos / "red" / "01.jpg"
    photo.write_bytes((photos / "blue" / "00.jpg").read_bytes()[: photo.stat().st_size].ljust(photo.stat().st_size))
    counts, _ = predict(trained, photos, root)
    assert (counts.new, counts.reasons) == (COUNT - 1, {"changed": 1})
    again, _ = predict(trained, photos, root, told := Tally())
    assert (again.reused, again.reasons.get("changed"), told.beginnings) == (COUNT - 1, None, 2)


def test_labels_of_an_earlier_version_are_normalised(trained: Trained, photos: Path, root: DataRoot) -> None:
    _, table = predict(trained, photos, root)
    old = table.set_column(2, PREDICTED.field(2), pa.array(["cafe\u0301"] * len(table)))
    rows = _assemble(table.select(["sha256", "path"]), old.select(PREDICTED.names), PREDICTED.empty_table())
    assert set(rows["predicted"].to_pylist()) == {"caf\u00e9"}


def test_rows_of_parquet_files_are_predicted_as_photos_are_and_new_files_only_later(
    trained: Trained, tmp_path: Path, root: DataRoot
) -> None:
    files = sorted(trained.photos.rglob("*.jpg"))
    table = photos_in_rows(files).drop_columns("label")
    with recalling_new_files():
        put(tmp_path / "rows", {"a.parquet": parquet(table.slice(0, COUNT - 4))})
        first, _ = predict(trained, tmp_path / "rows", root)
        put(tmp_path / "rows", {"b.parquet": parquet(table.slice(COUNT - 4))})
        counts, rows = predict(trained, tmp_path / "rows", root, told := Tally())
    assert (first.new, counts.new, counts.reused) == (COUNT - 4, 4, COUNT - 4)
    # Hashed are four rows, and the model predicts them.
    assert (told.beginnings, told.total, told.done) == (2, 4, 4)
    evaluated = {row["sha256"]: row["predicted"] for row in trained.evaluated().to_pylist()}
    assert {row["sha256"]: row["predicted"] for row in rows.to_pylist()} == evaluated
    assert rows["path"].to_pylist()[0] == f"a.parquet#0/{files[0].name}"

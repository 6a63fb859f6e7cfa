"""Snapshots: keys, duplicates, conflicts, and the photos that the next run reads again."""

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DatasetError
from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import SNAPSHOT
from tasks.snapshot.hashes import HASHES, read_hashes
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.photos import Snapshot, _mark_repeats, count_labels, take_snapshot, usable
from tasks.snapshot.split_folders import label_by_folder
from tests.snapshot.aging import recalling_new_files
from tests.snapshot.photo_files import put


def sha(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()


def take(root: Path, last: Snapshot | None = None) -> Snapshot:
    return take_snapshot(root, last and last.hashes, NullProgress())


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Two labels of three photos, nothing twice; old enough to be recalled."""
    put(
        tmp_path / "photos",
        {f"{name}s/{n}.jpg": f"{name} {n}".encode() for name in ("rose", "tulip") for n in range(3)},
    )
    with recalling_new_files():
        yield tmp_path / "photos"


def test_a_snapshot_has_one_row_a_photo_sorted_by_path(root: Path) -> None:
    put(root, {"roses/more/ü.jpg": b"another rose"})
    table = take(root).table
    assert table["path"].to_pylist() == sorted(table["path"].to_pylist())
    photo = {"sha256": sha("another rose"), "path": "roses/more/ü.jpg", "label": "roses", "bytes": 12}
    assert table.to_pylist()[3] == {**photo, "duplicate_of": None, "conflict": False, "split": None}
    assert table.num_rows == 7


def test_both_tables_carry_the_metadata_of_every_file_of_ours(root: Path) -> None:
    snapshot = take(root)
    for table, schema in ((snapshot.table, SNAPSHOT), (snapshot.hashes, HASHES)):
        assert table.schema.equals(schema)
        metadata = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
        assert (metadata["stage"], metadata["key"], metadata["schema_version"]) == ("snapshot", snapshot.key, "1")
        assert json.loads(metadata["settings"]) == {}


def test_the_key_is_the_hash_of_the_sorted_paths_labels_and_hashes(tmp_path: Path) -> None:
    put(tmp_path, {"b/2.jpg": b"two", "a/1.jpg": b"one"})
    rows = f"a/1.jpg\0a\0{sha('one')}\nb/2.jpg\0b\0{sha('two')}\n"
    assert take(tmp_path).key == sha(rows)[:16]


def test_the_key_does_not_depend_on_mtimes_or_on_where_the_dataset_lies(root: Path, tmp_path: Path) -> None:
    before = take(root)
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    os.utime(moved / "roses" / "0.jpg", (2_000, 2_000))
    after = take(moved)
    assert after.key == before.key
    assert after.state != before.state


def test_the_second_snapshot_recalls_published_hashes_and_is_the_same(root: Path, tmp_path: Path) -> None:
    first = take(root)
    publish_parquet(tmp_path / "data" / "hashes.parquet", first.hashes)
    second = take_snapshot(root, read_hashes(tmp_path / "data" / "hashes.parquet"), NullProgress())
    assert (first.hashed, second.hashed) == (6, 0)
    assert (second.key, second.state, second.table) == (first.key, first.state, first.table)


def test_only_new_and_edited_photos_are_read_again(root: Path) -> None:
    first = take(root)
    put(root, {"roses/new.jpg": b"new", "tulips/1.jpg": b"another tulip"})
    (root / "tulips" / "2.jpg").unlink()
    second = take(root, first)
    assert second.hashed == 2
    assert second.table == take(root).table


def test_a_photo_changed_within_the_clocks_resolution_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"roses/0.jpg": b"before"})
    monkeypatch.setattr("tasks.snapshot.walk.file_version", lambda _: "the same")
    first = take(tmp_path)
    put(tmp_path, {"roses/0.jpg": b"behind"})
    second = take(tmp_path, first)
    assert second.state == first.state
    assert second.hashed == 1
    assert sha("behind") in second.table["sha256"].to_pylist()


def replace(path: Path, data: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(data)
    other.replace(path)


@pytest.mark.parametrize("write", [Path.write_text, replace])
def test_a_photo_replaced_with_the_same_size_and_mtime_is_read_again(root: Path, write: Callable[..., None]) -> None:
    path = root / "roses" / "0.jpg"
    first, before = take(root), path.stat()
    write(path, "ROSE 0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    second = take(root, first)
    assert second.hashed == 1
    assert second.state != first.state
    assert sha("ROSE 0") in second.table["sha256"].to_pylist()


@pytest.mark.parametrize("year", [1, 1969, 2263, 2400, 9999])
def test_a_photo_of_any_date_is_hashed_and_recalled_unless_it_is_of_the_future(
    root: Path, year: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = (year - 1970) * 31_556_952_000_000_000
    dated = SimpleNamespace(st_mode=0o100644, st_size=6, st_ino=1, st_mtime_ns=then, st_ctime_ns=then)
    monkeypatch.setattr("tasks.snapshot.walk._follow", lambda entry: dated if entry.name == "0.jpg" else entry.stat())
    first = take(root)
    assert (first.hashed, first.photos) == (6, 6)
    assert take(root, first).hashed == (0 if year < 2000 else 2)


@pytest.fixture
def repeated(root: Path) -> Snapshot:
    """A snapshot with three copies of a photo under one label, and three of another under two labels."""
    put(root, dict.fromkeys(("roses/z.jpg", "roses/a/y.jpg", "roses/x.jpg"), b"rose 1"))
    put(root, dict.fromkeys(("daisy/same.jpg", "tulips/same.jpg", "tulips/twice.jpg"), b"same"))
    return take(root)


def test_the_same_bytes_under_a_label_are_duplicates_of_the_smallest_path_and_under_two_labels_conflicts(
    repeated: Snapshot,
) -> None:
    rows = repeated.table.to_pylist()
    assert {row["path"]: row["duplicate_of"] for row in rows if row["duplicate_of"]} == {
        **dict.fromkeys(("roses/a/y.jpg", "roses/x.jpg", "roses/z.jpg"), "roses/1.jpg"),
        "tulips/twice.jpg": "tulips/same.jpg",
    }
    conflicts = ["daisy/same.jpg", "tulips/same.jpg", "tulips/twice.jpg"]
    assert [row["path"] for row in rows if row["conflict"]] == conflicts
    assert (repeated.photos, repeated.duplicates, repeated.conflicts) == (12, 4, 3)


def test_usable_photos_have_no_conflict_and_stand_once_in_the_order_of_their_hashes(repeated: Snapshot) -> None:
    table = usable(repeated.table)
    expected = {sha(f"{name} {n}"): f"{name}s/{n}.jpg" for n in range(3) for name in ("rose", "tulip")}
    assert list(zip(table["sha256"].to_pylist(), table["path"].to_pylist(), strict=True)) == sorted(expected.items())
    assert repeated.labels == {"daisy": 0, "roses": 3, "tulips": 3}, "none is forgotten"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z", "é"])), max_size=30))
def test_duplicates_and_conflicts_are_those_of_a_naive_comparison(photos: list[tuple[str, str]]) -> None:
    paths = sorted(f"{label}/{number:02}" for number, (label, _) in enumerate(photos))
    contents = {path: photos[int(path[2:])][1] for path in paths}
    hashes = [paths, [1] * len(paths), ["2"] * len(paths), [contents[path] for path in paths]]
    table = _mark_repeats(label_by_folder(pa.table(hashes, schema=HASHES), {}))

    first: dict[tuple[str, str], str] = {}
    labels = defaultdict(set)
    for path in paths:
        first.setdefault((path[0], contents[path]), path)
        labels[contents[path]].add(path[0])
    expected = [(path, first[path[0], contents[path]], len(labels[contents[path]]) > 1) for path in paths]
    assert [(row["path"], row["duplicate_of"] or row["path"], row["conflict"]) for row in table.to_pylist()] == expected


def test_unreadable_photos_are_counted_with_the_ignored_ones(root: Path, unreadable_file: Path) -> None:
    put(root, {"roses/.hidden": b""})
    for name in ("a.jpg", "no suffix"):
        (root / "roses" / name).symlink_to(unreadable_file)
    snapshot = take(root)
    assert snapshot.ignored.counts == {"hidden": 1, "unreadable": 2}
    assert snapshot.ignored.examples["unreadable"] == ["roses/a.jpg", "roses/no suffix"]
    assert (snapshot.photos, snapshot.hashed) == (6, 6)


def test_an_empty_folder_has_an_empty_snapshot(tmp_path: Path) -> None:
    (tmp_path / "roses").mkdir()
    snapshot = take(tmp_path)
    assert snapshot.ignored == IgnoredSummary()
    assert (snapshot.photos, snapshot.duplicates, snapshot.conflicts, snapshot.labels) == (0, 0, 0, {})
    assert take(tmp_path, snapshot).key == snapshot.key


def test_the_real_photos_have_one_conflict_and_one_duplicate(flower_photos: Path) -> None:
    snapshot = take(flower_photos)
    rows = snapshot.table.to_pylist()
    assert [row["path"] for row in rows if row["conflict"]] == [
        "roses/15922772266_1167a06620.jpg",
        "tulips/15922772266_1167a06620.jpg",
    ]
    assert {row["path"]: row["duplicate_of"] for row in rows if row["duplicate_of"]} == {
        "sunflowers/15066430311_fb57fa92b0_m.jpg": "sunflowers/14889392928_9742aed45b_m.jpg"
    }
    assert usable(snapshot.table).num_rows == sum(count_labels(snapshot.table).values()) == 2000 - 3


def test_more_photos_than_a_column_holds_and_longer_paths_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.snapshot.sizes.COLUMN_BYTES", 6 * 64)
    assert take(root).photos == 6
    put(root, {f"roses/{'ü' * 100}/{'ü' * 100}.jpg": b"far down"})
    with pytest.raises(DatasetError, match=r"has 7 photos, .* It can have 6, .* several datasets"):
        take(root)
    paths = sum(len(str(file.relative_to(root)).encode()) for file in root.rglob("*.jpg"))
    monkeypatch.setattr("tasks.snapshot.sizes.COLUMN_BYTES", paths)
    assert take(root).photos == 7
    monkeypatch.setattr("tasks.snapshot.sizes.COLUMN_BYTES", paths - 1)
    with pytest.raises(DatasetError, match=f"paths of {paths} bytes"):
        take(root)

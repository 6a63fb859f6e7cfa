"""Rows of Parquet files as photos: labels, splits, what is recalled, and what is refused."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.errors import DatasetError
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.hashes import drop_hashes, read_hashes
from tasks.snapshot.parquet import image_files
from tasks.snapshot.parquet.photo_rows import count_rows, given_split, hash_rows
from tasks.snapshot.photos import Snapshot, take_snapshot, usable
from tasks.snapshot.tables.label_tables import LabelSource
from tasks.snapshot.walk import list_files
from tasks.storage.layout import DataRoot
from tests.decode.drawing import photos_in
from tests.decode.test_photos import draw
from tests.snapshot.aging import recalling_new_files
from tests.snapshot.parquet.parquet_files import IMAGE, flowers, hugging_face, image_table, parquet
from tests.snapshot.photo_files import put
from tests.support.progress import Tally
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import forget_stores

TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"


def take(root: AnyPath, known: Snapshot | None = None) -> Snapshot:
    """Take a snapshot."""
    with recalling_new_files():
        return take_snapshot(root, known.hashes if known else None, NullProgress())


def rows_of(snapshot: Snapshot, *names: str) -> list[tuple[Any, ...]]:
    """The columns of a snapshot, row by row."""
    return list(zip(*(snapshot.table[name].to_pylist() for name in names), strict=True))


def labels_of(root: Path, table: pa.Table) -> list[str | None]:
    """The labels of a table's photos."""
    put(root, {"a.parquet": parquet(table)})
    return [label for (label,) in rows_of(take(root), "label")]


def two_images() -> list[dict[str, Any]]:
    return [{"bytes": b"1", "path": "1.jpg"}, {"bytes": b"2", "path": "2.jpg"}]


def test_rows_are_photos_with_the_names_of_their_classes_and_the_splits_of_their_files(folder: AnyPath) -> None:
    put(folder, {TRAIN: parquet(flowers(range(6))), TEST: parquet(flowers(range(6, 8))), "README.md": b"text"})
    snapshot = take(folder)
    assert rows_of(snapshot, "path", "label", "split", "bytes")[:3] == [
        (f"{TEST}#0/6.jpg", "roses", "test", 8),
        (f"{TEST}#1/7.jpg", "tulips", "test", 8),
        (f"{TRAIN}#0/0.jpg", "roses", "train", 8),
    ]
    sha256 = [hashlib.sha256(f"flower {number}".encode()).hexdigest() for number in (6, 7, 0, 1, 2, 3, 4, 5)]
    assert snapshot.table["sha256"].to_pylist() == sha256
    assert (snapshot.photos, snapshot.hashed, snapshot.ignored.counts) == (8, 8, {"not a photo": 1})
    assert list_files(folder).state() == snapshot.state


def test_one_parquet_file_is_a_dataset_too(folder: AnyPath) -> None:
    put(folder, {"flowers.parquet": parquet(flowers(range(4))), "other.parquet": b"no Parquet file"})
    snapshot = take(folder / "flowers.parquet")
    assert [path for (path,) in rows_of(snapshot, "path")] == [f"flowers.parquet#{n}/{n}.jpg" for n in range(4)]


def test_photos_win_over_parquet_files_beside_them_which_are_ignored_by_name(folder: AnyPath) -> None:
    put(
        folder, {"roses/1.jpg": b"1", "tulips/2.jpg": b"2", "roses/table.parquet": b"x", "roses/metadata.parquet": b"x"}
    )
    snapshot = take(folder)
    assert snapshot.photos == 2
    assert snapshot.ignored.examples == {"not a photo": ["roses/metadata.parquet", "roses/table.parquet"]}
    put(folder, {"roses/table.parquet": b"another"})
    assert list_files(folder).state() == snapshot.state


def test_a_second_snapshot_reads_new_files_only_and_is_the_same(tmp_path: Path) -> None:
    put(tmp_path, {TRAIN: parquet(flowers(range(6)))})
    first = take(tmp_path)
    put(tmp_path, {TEST: parquet(flowers(range(4, 9)))})
    progress = Tally()
    with recalling_new_files():
        second = take_snapshot(tmp_path, first.hashes, progress)
    assert (second.hashed, progress.total, progress.done, second.photos, second.duplicates) == (5, 5, 5, 11, 2)
    assert second.table == take(tmp_path).table
    os.utime(tmp_path / TRAIN, (1, 1))
    assert take(tmp_path, second).hashed == 6


def test_a_file_that_was_written_just_now_is_read_again(tmp_path: Path) -> None:
    put(tmp_path, {TRAIN: parquet(flowers(range(6)))})
    first = take_snapshot(tmp_path, None, NullProgress())
    assert first.hashes.num_rows == 0


def test_of_a_changed_photo_the_whole_file_is_read_again(tmp_path: Path) -> None:
    put(tmp_path / "photos", {TRAIN: parquet(flowers(range(6))), TEST: parquet(flowers(range(6, 8)))})
    first = take(tmp_path / "photos")
    publish_parquet(tmp_path / "hashes.parquet", first.hashes)
    drop_hashes(tmp_path / "hashes.parquet", [f"{TRAIN}#3/3.jpg"])
    known = read_hashes(tmp_path / "hashes.parquet")
    assert known is not None
    assert known["path"].to_pylist() == [f"{TEST}#0/6.jpg", f"{TEST}#1/7.jpg"]


def test_another_column_of_labels_is_read_though_the_files_are_known(tmp_path: Path) -> None:
    table = image_table(two_images(), label=["a", "b"], kind=["c", "d"])
    put(tmp_path, {"a.parquet": parquet(table)})
    files = list_files(tmp_path).parquet_files
    first = hash_rows(tmp_path, files, None, NullProgress())
    second = hash_rows(tmp_path, files, first.known, NullProgress(), "kind")
    third = hash_rows(tmp_path, files, second.known, NullProgress(), "kind")
    assert [rows.photos["label"].to_pylist() for rows in (first, second, third)] == [["a", "b"], ["c", "d"], ["c", "d"]]
    assert [rows.read for rows in (first, second, third)] == [2, 2, 0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["b", " cafe\u0301 "]), ["b", "caf\u00e9"]),
        (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
        (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
        (pa.array([7, 12], pa.uint8()), ["7", "12"]),
        (pa.array([True, False]), ["true", "false"]),
    ],
)
def test_labels_are_text_or_numbers(tmp_path: Path, labels: pa.Array, expected: list[str]) -> None:
    table = pa.table({"image": pa.array(two_images(), IMAGE), "label": labels})
    assert labels_of(tmp_path, table) == expected


def test_a_column_called_labels_and_a_plain_column_of_bytes_are_found(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "img": pa.array([b"1", b"2"]), "labels": ["x", "y"]})
    put(tmp_path, {"a.parquet": parquet(table)})
    assert rows_of(take(tmp_path), "path", "label") == [("a.parquet#0", "x"), ("a.parquet#1", "y")]


def test_rows_without_an_image_or_a_label_are_left_out_counted_and_named(tmp_path: Path) -> None:
    images = [*two_images(), None, {"bytes": None, "path": "far.jpg"}, {"bytes": b"5", "path": None}]
    put(tmp_path, {"a.parquet": parquet(image_table(images, label=["x", None, "x", "y", " "]))})
    first = take(tmp_path)
    again = take(tmp_path, first)
    for snapshot in (first, again):
        assert rows_of(snapshot, "path") == [("a.parquet#0/1.jpg",)]
        assert snapshot.ignored.describe_reasons() == [
            "2 photos without a label (give them labels, or remove them): a.parquet#1/2.jpg, a.parquet#4",
            "2 rows without an image (embed the images in the Parquet files): a.parquet#2, a.parquet#3/far.jpg",
        ]
        assert snapshot.ignored.describe_folders() == []
    assert (first.hashed, again.hashed) == (5, 0)
    # A photo without a label is not gone.
    assert first.files.num_rows == 5


def test_a_class_number_below_0_is_no_label(tmp_path: Path) -> None:
    assert labels_of(tmp_path, image_table(two_images(), label=[-1, 1])) == ["tulips"]


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("data/test-00000-of-00001-a1b2c3d4e5f60718.parquet", "test"),
        ("default/train/0000.parquet", "train"),
        ("validation/0.parquet", "validation"),
        ("val.parquet", "validation"),
        ("cifar10-train-00000-of-00001.parquet", "train"),
        ("v2/flowers.test.parquet", "test"),
        ("test/train-0001.parquet", "train"),
        ("train/day/0.parquet", "train"),
        ("flowers.parquet", None),
        ("trainers-01.parquet", None),
        ("00000.parquet", None),
    ],
)
def test_a_split_is_that_of_the_name_of_the_file_or_of_the_nearest_folder(path: str, split: str | None) -> None:
    assert given_split(path) == split


def test_a_column_of_splits_counts_more_than_the_name_of_the_file(tmp_path: Path) -> None:
    table = image_table([*two_images(), {"bytes": b"3"}], label=["x"] * 3, split=["val", "test", None])
    put(tmp_path, {"train.parquet": parquet(table)})
    assert [split for (split,) in rows_of(take(tmp_path), "split")] == ["validation", "test", "train"]


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (
            pa.table({"x": [1]}),
            r"a\.parquet has no column of images among its columns 'x' \(int64\)\. Such a column is",
        ),
        (pa.table({"a": [b"1"], "b": [b"2"], "label": [1]}), r"no column of images among its columns 'a' \(binary\)"),
        (pa.table({"image": [[b"1"]], "label": [1]}), r"no column of images among its columns 'image' \(list"),
        (
            pa.table({"image": [b"1"], "y": [1]}),
            r"None of the photos .* has a label\. a\.parquet has its columns 'image'",
        ),
        (pa.table({"image": [b"1"], "label": [[1, 2]]}), r"The column 'label' of .* holds lists, and a photo has one"),
        (pa.table({"image": [b"1"], "label": [0.5]}), r"holds values of type double, and a label is text"),
        (pa.table({"image": [b"1"], "label": ["a\nb"]}), r"has a label with a control character"),
        (
            image_table([{"path": "a.jpg"}], label=[0]),
            r"None of the 1 rows .* has an image in it, such as a\.parquet#0/a",
        ),
        (image_table([{"bytes": b"1"}], label=[7]), r"class number 7, and its schema names the classes 0 to 1"),
    ],
)
def test_files_without_images_or_labels_are_refused_by_their_columns(
    tmp_path: Path, table: pa.Table, error: str
) -> None:
    put(tmp_path, {"a.parquet": parquet(table)})
    with pytest.raises(DatasetError, match=error):
        take(tmp_path)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = parquet(flowers(range(40)))
    generator = np.random.default_rng(0)
    refused = 0
    for cut in (0, 3, 4, 11, len(whole) // 2, len(whole) - 1):
        put(tmp_path, {"a.parquet": whole[:cut]})
        with pytest.raises(
            DatasetError, match=r"a\.parquet is no Parquet file, or a damaged one \(.*\)\. Copy it again"
        ):
            take(tmp_path)
    for _ in range(300):
        spoilt = np.frombuffer(whole, np.uint8).copy()
        spoilt[generator.integers(0, len(whole), 3)] ^= generator.integers(1, 255, 3, dtype=np.uint8)
        put(tmp_path, {"a.parquet": spoilt.tobytes()})
        try:
            take(tmp_path)
        except DatasetError:
            refused += 1
    assert refused > 30


def test_a_row_group_that_grows_beyond_the_limit_is_refused_whatever_it_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A dictionary: 1 MB in the file becomes 300 MB.
    table = pa.table({"image": pa.array([bytes(10**6)] * 300), "label": ["x"] * 300})
    put(tmp_path, {"a.parquet": parquet(table, 300, compression="zstd", dictionary_pagesize_limit=2**21)})
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    monkeypatch.setattr(image_files, "MAX_GROUP_BYTES", 2**26)
    assert metadata.row_group(0).total_byte_size < 2**22
    with pytest.raises(DatasetError, match=r"Row group 0 of .*a\.parquet has more than 67,108,864 bytes once"):
        take(tmp_path)


def test_of_several_columns_of_images_the_one_with_a_usual_name_counts(tmp_path: Path) -> None:
    columns = {"mask": pa.array([{"bytes": b"9"}], IMAGE), "image": pa.array([{"bytes": b"1"}], IMAGE)}
    metadata = hugging_face(mask={"_type": "Image"}, image={"_type": "Image"})
    put(tmp_path, {"a.parquet": parquet(pa.table({**columns, "label": ["x"]}).replace_schema_metadata(metadata))})
    assert rows_of(take(tmp_path), "sha256") == [(hashlib.sha256(b"1").hexdigest(),)]
    put(
        tmp_path, {"a.parquet": parquet(pa.table({"left": columns["mask"], "right": columns["image"], "label": ["x"]}))}
    )
    with pytest.raises(DatasetError, match="has no column of images among its columns 'left'"):
        take(tmp_path)


def test_rows_are_counted_without_reading_them(folder: AnyPath) -> None:
    put(folder, {TRAIN: parquet(flowers(range(6))), TEST: parquet(flowers(range(6, 8)))})
    assert count_rows(folder, list_files(folder).parquet_files) == 8


def test_a_store_is_asked_once_a_row_group_and_never_for_files_that_are_known(
    remote_folder: AnyPath, gateway: Gateway
) -> None:
    put(to_path(str(remote_folder)), {TRAIN: parquet(flowers(range(6))), TEST: parquet(flowers(range(6, 8)))})
    forget_stores()
    root = to_path(str(remote_folder))
    with gateway.counting() as cold:
        first = take(root)
    # The end of each of two files, and three row groups.
    assert cold == {"LIST": 1, "GET": 5}
    with gateway.counting() as warm:
        second = take(root, first)
    assert warm == {"LIST": 1}
    assert (second.key, second.hashed) == (first.key, 0)


def test_the_store_of_the_decode_stage_is_a_dataset_whose_photos_are_called_by_their_keys(tmp_path: Path) -> None:
    draw(tmp_path / "photos", 0, 3)
    put(tmp_path / "photos", {"none.jpg": b"no photo"})
    settings = DecodeSettings(size=16, resize=16)
    stores = open_stores(DataRoot(tmp_path / "data"), settings)
    wanted = photos_in(tmp_path / "photos")
    decode_photos(wanted, tmp_path / "photos", stores, NullProgress())
    folder = DataRoot(tmp_path / "data").decode(settings.key)
    assert list((folder / "rejected").glob("*.parquet"))
    rows = hash_rows(folder, list_files(folder).parquet_files, None, NullProgress(), label_column=None)
    names = {path.rpartition("/")[2] for path in rows.photos["path"].to_pylist()}
    assert len(names) == 3
    assert names < {f"{key}.jpeg" for key in wanted["sha256"].to_pylist()}
    assert rows.ignored == ()


@pytest.mark.parametrize("key", ["path", "file_name", "sha256"])
def test_a_table_of_labels_names_rows_by_their_paths_names_or_hashes(tmp_path: Path, key: str) -> None:
    put(tmp_path / "rows", {TRAIN: parquet(flowers(range(4))), TEST: parquet(flowers(range(4, 7)))})
    first = take(tmp_path / "rows")
    keys = {"path": first.table["path"].to_pylist(), "sha256": first.table["sha256"].to_pylist()}
    keys["file_name"] = [path.rpartition("/")[2] for path in keys["path"]]
    lines = [f"{name},{'ab'[place % 2]}" for place, name in enumerate(keys[key][:-1])]
    (tmp_path / "labels.csv").write_text("\n".join([f"{key},label", *lines, "elsewhere.jpg,a"]))
    labels = LabelSource(str(tmp_path / "labels.csv"))
    with recalling_new_files():
        second = take_snapshot(tmp_path / "rows", first.hashes, NullProgress(), None, labels)
        third = take_snapshot(tmp_path / "rows", second.hashes, NullProgress(), None, labels)
    assert second.table["label"].to_pylist() == ["a", "b", "a", "b", "a", "b"]
    assert rows_of(second, "path", "split") == rows_of(first, "path", "split")[:-1]
    assert second.label_table is not None
    assert (second.label_table["photos_without_row"], second.label_table["rows_without_photo"]) == (1, 1)
    # Labels of a table replace those of the files, which are read again once.
    assert (second.hashed, third.hashed, third.key) == (7, 0, second.key)


def test_photos_of_the_decode_store_are_labelled_by_the_snapshot_that_they_were_made_of(tmp_path: Path) -> None:
    for start, label in ((0, "roses"), (4, "tulips")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        draw(tmp_path / "photos" / label, start, start + 4)
    first = take(tmp_path / "photos")
    settings, root = DecodeSettings(size=16, resize=16), DataRoot(tmp_path / "data")
    decode_photos(usable(first.table), tmp_path / "photos", open_stores(root, settings), NullProgress())
    publish_parquet(root.snapshot(first.key), first.table)
    labels = LabelSource(str(root.snapshot(first.key)))
    second = take_snapshot(root.decode(settings.key), None, NullProgress(), None, labels)
    names = [(path.rpartition("/")[2].removesuffix(".jpeg"), label) for path, label in rows_of(second, "path", "label")]
    assert sorted(names) == sorted(rows_of(first, "sha256", "label"))

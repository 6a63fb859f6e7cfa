"""Paths of rows: they name a file and a row, whatever the image was called."""

import pytest

from tasks.snapshot.parquet.row_paths import RowPath, file_of, find_row, is_parquet, reading_order, row_path


@pytest.mark.parametrize(
    ("file", "number", "name", "path"),
    [
        (
            "data/train-00000-of-00002.parquet",
            17,
            b"daisy_001.jpg",
            "data/train-00000-of-00002.parquet#17/daisy_001.jpg",
        ),
        ("a.parquet", 0, None, "a.parquet#0"),
        ("a.parquet", 0, b"", "a.parquet#0"),
        ("A.PARQUET", 3, b"../../etc/passwd", "A.PARQUET#3/passwd"),
        ("a.parquet", 3, b"C:\\photos\\1.jpg", "a.parquet#3/1.jpg"),
        ("a.parquet", 3, b"x\n\x1b[31m\0.jpg", "a.parquet#3/x??[31m?.jpg"),
        ("a.parquet", 3, b"\xff.jpg", "a.parquet#3/xff.jpg"),
        ("a.parquet", 3, b"b.parquet#5", "a.parquet#3/b.parquet#5"),
        ("a.parquet", 3, b"n" * 300, "a.parquet#3/" + "n" * 255),
    ],
)
def test_the_path_of_a_row_names_its_file_its_number_and_the_last_part_of_the_name(
    file: str, number: int, name: bytes | None, path: str
) -> None:
    assert row_path(file, number, name) == path
    assert find_row(path) == RowPath(file, number)
    assert file_of(path) == file


@pytest.mark.parametrize(
    "path",
    [
        "roses/1.jpg",
        "#1/a.jpg",
        "c#/#1.jpg",
        "a.parquet",
        "a.parquet#x/1.jpg",
        "a.parquet/1.jpg",
        "a.parquet#1/b/c.jpg",
    ],
)
def test_other_paths_are_those_of_files(path: str) -> None:
    assert find_row(path) is None
    assert file_of(path) == path


def test_rows_are_read_in_the_order_of_their_numbers_and_files_keep_their_order() -> None:
    paths = ["b.parquet#2", "a.parquet#10/x", "a.parquet#9/y"]
    assert sorted(paths, key=reading_order) == ["a.parquet#9/y", "a.parquet#10/x", "b.parquet#2"]
    files = ["b/1.jpg", "a/2.jpg"]
    assert sorted(files, key=reading_order) == files


def test_a_table_that_belongs_to_photos_is_no_dataset() -> None:
    assert [is_parquet(name) for name in ("a.parquet", "x/B.Parquet", "train/metadata.parquet", "a.csv")] == [
        True,
        True,
        False,
        False,
    ]

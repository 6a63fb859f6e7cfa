"""Corrections: which photos they match, what they change, and files that are refused."""

import hashlib
from pathlib import Path

import pytest

from tasks.errors import SettingError
from tasks.progress import NullProgress
from tasks.snapshot.corrections import Corrections, read_corrections
from tasks.snapshot.photos import Snapshot, take_snapshot
from tests.snapshot.photo_files import put, put_numbered


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two labels of four photos each."""
    for label in ("roses", "tulips"):
        put_numbered(tmp_path / "photos", label, range(4))
    return tmp_path / "photos"


def key_of(label: str, number: int) -> str:
    return hashlib.sha256(f"{label} {number}".encode()).hexdigest()


def read(folder: Path, text: str | bytes) -> Corrections:
    file = folder / "corrections.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_corrections(file)


def correct(photos: Path, text: str) -> Snapshot:
    return take_snapshot(photos, None, NullProgress(), corrections=read(photos.parent, text))


def labels_of(snapshot: Snapshot) -> dict[str, str]:
    return dict(zip(snapshot.table["path"].to_pylist(), snapshot.table["label"].to_pylist(), strict=True))


def counts_of(snapshot: Snapshot) -> tuple[int, int, int]:
    assert snapshot.corrected is not None
    details = snapshot.corrected.details()
    return details["relabelled"], details["excluded"], details["unmatched"]


def test_photos_get_other_labels_by_key_or_path_and_are_excluded_where_the_label_is_empty(photos: Path) -> None:
    before = take_snapshot(photos, None, NullProgress())
    text = f"sha256,path,label\n{key_of('roses', 1)},,tulips\n,roses/2.jpg,tulips\n,tulips/3.jpg,\n"
    after = correct(photos, text)
    moved = {"roses/1.jpg": "tulips", "roses/2.jpg": "tulips"}
    assert labels_of(after) == {k: v for k, v in (labels_of(before) | moved).items() if k != "tulips/3.jpg"}
    assert counts_of(after) == (2, 1, 0)
    assert after.labels == {"roses": 2, "tulips": 5}
    assert after.key != before.key
    assert after.files.num_rows == 8


def test_a_photo_that_moved_is_found_by_its_key(photos: Path) -> None:
    (photos / "roses" / "1.jpg").rename(photos / "roses" / "renamed.jpg")
    after = correct(photos, f"sha256,path,label\n{key_of('roses', 1).upper()},roses/1.jpg,tulips\n")
    assert labels_of(after)["roses/renamed.jpg"] == "tulips"


def test_of_several_corrections_of_a_photo_the_last_counts(photos: Path) -> None:
    text = f"sha256,path,label\n{key_of('roses', 1)},,tulips\n,roses/1.jpg,\n{key_of('roses', 1)},,roses\n"
    after = correct(photos, text)
    assert labels_of(after)["roses/1.jpg"] == "roses"
    assert counts_of(after) == (0, 0, 0)
    assert after.key == take_snapshot(photos, None, NullProgress()).key


def test_lines_that_match_no_photo_are_told_with_their_numbers(photos: Path) -> None:
    text = f"path,label,sha256\nroses/gone.jpg,tulips,\nroses/1.jpg,tulips,\nroses/2.jpg,tulips,{'0' * 64}\n"
    after = correct(photos, text)
    assert counts_of(after) == (1, 0, 2)
    assert after.corrected is not None
    examples = after.corrected.details()["unmatched_examples"]
    assert examples == ["line 2, roses/gone.jpg", "line 4, roses/2.jpg"]


def test_a_correction_resolves_a_conflict_of_two_labels(photos: Path) -> None:
    put(photos, {"tulips/copy.jpg": b"roses 1"})
    assert take_snapshot(photos, None, NullProgress()).conflicts == 2
    after = correct(photos, f"sha256,label\n{key_of('roses', 1)},roses\n")
    assert (after.conflicts, after.duplicates) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\nroses/1.jpg,tulips\n",
        "path;label\r\nroses/1.jpg;tulips\r\n",
        "path\tlabel\nroses/1.jpg\ttulips\n",
        "path,label,note\n\nroses/1.jpg,tulips,surely a tulip\npath,label,note\n",
    ],
    ids=["byte order mark", "semicolons", "tabs", "joined files"],
)
def test_files_of_spreadsheets_are_read(photos: Path, text: str) -> None:
    assert counts_of(correct(photos, text)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("path,lable\nroses/1.jpg,tulips\n", "has the columns lable, path"),
        ("label\nroses\n", "has the columns label"),
        ("path,label\nroses/1.jpg\n", "line 2: it has no label"),
        ("path,label\n,tulips\n", "line 2: it has no sha256 and no path"),
        (b"path,label\nr\xf6ses/1.jpg,tulips\n", "is not UTF-8"),
    ],
)
def test_files_that_are_no_corrections_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.csv cannot be read \(No such file or directory\)"):
        read_corrections(tmp_path / "none.csv")


def test_a_label_that_no_photo_has_is_refused_with_the_nearest(photos: Path) -> None:
    with pytest.raises(SettingError, match=r"line 3: the label 'rosse' is none of the dataset's, such as 'roses'\."):
        correct(photos, "path,label\nroses/1.jpg,tulips\ntulips/1.jpg,rosse\n")

"""Labels: two forms of Unicode, changes between runs, too few photos, and splits that would become labels."""

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.snapshot.labels import check_labels, check_split_folders, describe_merge, label_changes
from tasks.snapshot.photos import Snapshot, take_snapshot
from tests.download.archive_files import take_snapshot as run_snapshot
from tests.snapshot.photo_files import put, put_numbered
from tests.support.progress import Tally

ONE, TWO = "caf\u00e9", "cafe\u0301"
SPLITS = {f"{split}/{label}/{split}.jpg": b"x" for split in ("train", "val", "test") for label in ("cats", "dogs")}


def take(folder: AnyPath, *labels: str) -> Snapshot:
    """Take a snapshot of three photos of each label, and of three roses."""
    for label in (*labels, "roses"):
        put_numbered(folder, label, range(3))
    return take_snapshot(folder, None, NullProgress())


def test_a_label_is_in_form_nfc_and_its_paths_are_as_the_files_have_them(tmp_path: Path) -> None:
    snapshot = take(tmp_path, TWO)
    assert (snapshot.labels, snapshot.merged_labels) == ({ONE: 3, "roses": 3}, {})
    paths = snapshot.table["path"].to_pylist()
    assert paths[:3] == [f"{TWO}/{number}.jpg" for number in range(3)]
    assert all((tmp_path / path).is_file() for path in paths)


@pytest.mark.parametrize("where", ["tmp_path", "remote_folder"])
def test_two_folders_that_differ_in_their_form_alone_are_one_label(where: str, request: pytest.FixtureRequest) -> None:
    snapshot = take(request.getfixturevalue(where), ONE, TWO)
    assert (snapshot.labels, snapshot.merged_labels) == ({ONE: 6, "roses": 3}, {ONE: [TWO, ONE]})


def test_the_description_of_a_merge_shows_the_form_of_each_name() -> None:
    assert describe_merge(ONE, [TWO, ONE]) == (
        "'caf\u00e9' is one label of 2 folders, whose names differ only in their form of Unicode: "
        r"'cafe\u0301', 'caf\xe9'"
    )


def test_the_same_photo_in_both_forms_is_a_duplicate_and_no_conflict(tmp_path: Path) -> None:
    put(tmp_path, {f"{ONE}/same.jpg": b"same", f"{TWO}/same.jpg": b"same"})
    snapshot = take(tmp_path)
    assert (snapshot.duplicates, snapshot.conflicts) == (1, 0)


@pytest.mark.parametrize(
    "name",
    [
        *("\ufb01g", "\u2460", "STRASSE", "stra\u00dfe"),
        *("Sonnenblume ", "バラ", "très GRAND", "a\\b", "line\nfeed", "100%", "🌹", "-rf", " "),
    ],
)
def test_a_label_is_the_verbatim_name_of_the_first_folder(tmp_path: Path, name: str) -> None:
    snapshot = take(put(tmp_path, {f"{name}/more/{name}.jpg": b"deeper"}), name)
    assert snapshot.labels[name] == 4
    assert f"{name}/more/{name}.jpg" in snapshot.table["path"].to_pylist()


@pytest.mark.parametrize(
    ("before", "now", "new", "gone"),
    [
        ({"roses": 3, "asters": 3}, {"roses": 4, "tulips": 1, "cacti": 9}, ["cacti", "tulips"], ["asters"]),
        # The first run.
        (None, {"roses": 4}, [], []),
        # Another form of Unicode, as of an earlier version.
        ({TWO: 3}, {ONE: 3}, [], []),
    ],
)
def test_labels_are_new_and_gone(
    before: Mapping[str, int] | None, now: Mapping[str, int], new: list[str], gone: list[str]
) -> None:
    assert label_changes(before, now) == {"new": new, "gone": gone}


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ({"fern": 2, "moss": 0, "roses": 100}, r"fewer than 3 usable photos: 'fern' \(2\), 'moss' \(0\)\. Add photos"),
        ({f"label {n:02}": 1 for n in range(25)}, r"'label 08' \(1\), 'label 09' \(1\) and 15 more\. Add photos"),
        ({"photos": 3670}, r"only the label 'photos' .* 3670.*<dataset>/<label>/<photo>\.jpg"),
        ({}, r"no photos in folders.*<dataset>/<label>/<photo>\.jpg"),
    ],
)
def test_too_few_labels_or_photos_are_refused_with_the_labels_and_the_layout(
    counts: Mapping[str, int], error: str
) -> None:
    with pytest.raises(DatasetError, match=error):
        check_labels(counts)


@pytest.mark.parametrize(
    "splits",
    [
        ("train", "test"),
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "VALID"),
        ("train", "dev", "eval"),
        ("val", "test"),
        ("training_set", "test_set"),
        ("train-images", "holdout"),
    ],
)
def test_splits_with_the_same_folders_in_them_are_refused(splits: tuple[str, ...]) -> None:
    paths = [f"{split}/{label}/1.jpg" for split in splits for label in ("cats", "dogs")]
    with pytest.raises(DatasetError, match=r"with the same folders in them \('cats', 'dogs'\)"):
        check_split_folders(paths, Path("pets"))


@pytest.mark.parametrize(
    "paths",
    [
        ["train/steam/1.jpg", "train/diesel/2.jpg", "test/maths/3.jpg"],
        ["train/1.jpg", "test/1.jpg", "validation/1.jpg"],
        ["train/cats/1.jpg", "test/1.jpg"],
        ["train/cats/1.jpg", "train/dogs/2.jpg"],
        ["train/old/1.jpg", "bus/old/2.jpg", "test/old/3.jpg"],
        ["cats/train/1.jpg", "dogs/train/2.jpg"],
        ["trainers/new/1.jpg", "tests/new/2.jpg"],
        [],
    ],
)
def test_labels_that_are_called_like_splits_are_labels(paths: list[str]) -> None:
    check_split_folders(paths, Path("vehicles"))


def test_folders_that_differ_in_case_or_in_the_form_of_unicode_alone_are_the_same() -> None:
    with pytest.raises(DatasetError, match="so that the splits would become the labels"):
        check_split_folders(["train/Caf\u00e9/1.jpg", "test/cafe\u0301/1.jpg"], Path("places"))


@pytest.mark.parametrize("where", ["tmp_path", "remote_folder"])
def test_the_error_names_the_splits_and_the_folder_to_give_before_anything_is_hashed(
    where: str, request: pytest.FixtureRequest
) -> None:
    folder = put(request.getfixturevalue(where), SPLITS)
    with pytest.raises(DatasetError) as caught:
        take_snapshot(folder, None, progress := Tally())
    assert str(caught.value) == (
        f"{folder} is divided into the splits 'train', 'test', 'val' with the same folders in them ('cats', 'dogs'), "
        "so that the splits would become the labels. Give a folder that holds one folder a label, such as "
        f"{folder / 'train'}: it is split anew. A coming version reads such splits as they are."
    )
    assert progress.total == -1
    assert set(take_snapshot(folder / "train", None, progress).labels) == {"cats", "dogs"}


def test_splits_in_an_archive_are_refused_and_the_archive_is_named(tmp_path: Path) -> None:
    put(tmp_path / "pets", SPLITS)
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "pets")
    with pytest.raises(DatasetError, match=f"^{archive} is divided into .*, such as 'train', unpacked from it"):
        run_snapshot(tmp_path / "data", archive, dt.date(2026, 3, 1))

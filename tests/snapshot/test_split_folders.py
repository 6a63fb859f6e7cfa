"""Folders of splits: which first folders are splits, and the labels and splits of the photos below them."""

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.errors import DatasetError
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot
from tasks.snapshot.split_folders import find_split_folders
from tests.download.archive_files import take_snapshot as run_snapshot
from tests.snapshot.photo_files import put, put_numbered


@pytest.mark.parametrize(
    "splits",
    [
        {"train": "train", "test": "test"},
        {"train": "train", "val": "validation", "test": "test"},
        {"Training": "train", "Validation": "validation", "Testing": "test"},
        {"TRAIN": "train", "VALID": "validation"},
        {"val": "validation", "test": "test"},
        {"training_set": "train", "test_set": "test"},
        {"train-images": "train", "holdout": "test"},
        {"train": "train"},
    ],
)
def test_folders_with_the_same_folders_in_them_are_splits_by_their_usual_names(splits: Mapping[str, str]) -> None:
    assert find_split_folders([f"{split}/{label}/1.jpg" for split in splits for label in ("cats", "dogs")]) == splits


@pytest.mark.parametrize(
    "paths",
    [
        ["train/steam/1.jpg", "train/diesel/2.jpg", "test/maths/3.jpg"],
        ["train/1.jpg", "test/1.jpg", "validation/1.jpg"],
        ["train/cats/1.jpg", "test/1.jpg"],
        ["test/cats/1.jpg", "test/dogs/2.jpg"],
        ["train/old/1.jpg", "bus/old/2.jpg", "test/old/3.jpg"],
        ["cats/train/1.jpg", "dogs/train/2.jpg"],
        ["trainers/new/1.jpg", "tests/new/2.jpg"],
        [],
    ],
)
def test_labels_that_are_called_like_splits_are_labels(paths: list[str]) -> None:
    assert find_split_folders(paths) == {}


def test_folders_that_differ_in_case_or_in_the_form_of_unicode_alone_are_the_same() -> None:
    assert find_split_folders(["train/Caf\u00e9/1.jpg", "test/cafe\u0301/1.jpg"]) == {"train": "train", "test": "test"}


def test_two_folders_of_the_same_split_are_refused() -> None:
    with pytest.raises(DatasetError, match="'train' and 'training' of the dataset both give the split train"):
        find_split_folders([f"{split}/cats/1.jpg" for split in ("train", "training", "test")])


@pytest.mark.parametrize("where", ["tmp_path", "remote_folder"])
def test_photos_have_the_labels_and_splits_of_their_folders(where: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(where)
    put(folder, {"val/caf\u00e9/more/1.jpg": b"1", "Train/cafe\u0301/2.jpg": b"2", "test/dogs/3.jpg": b"3"})
    put(folder, {"Train/loose.jpg": b"4", "loose.jpg": b"5", "Train/dogs/5.jpg": b"6"})
    snapshot = take_snapshot(folder, None, NullProgress())
    found = {row["path"]: (row["label"], row["split"]) for row in snapshot.table.to_pylist()}
    assert found == {
        "Train/cafe\u0301/2.jpg": ("caf\u00e9", "train"),
        "Train/dogs/5.jpg": ("dogs", "train"),
        "test/dogs/3.jpg": ("dogs", "test"),
        "val/caf\u00e9/more/1.jpg": ("caf\u00e9", "validation"),
    }
    assert snapshot.ignored.counts == {"outside a label": 2}
    assert snapshot.merged_labels == {"caf\u00e9": ["cafe\u0301", "caf\u00e9"]}
    assert snapshot.hashed == 4, "a photo outside a label is not read"


def test_the_classic_archive_of_cats_and_dogs_has_its_validation_photos_as_test_split(tmp_path: Path) -> None:
    inner = tmp_path / "files" / "cats_and_dogs_filtered"
    for split in ("train", "validation"):
        for label in ("cats", "dogs"):
            put_numbered(inner, f"{split}/{label}", range(3))
    (inner / "vectorize.py").write_text("import os\n")
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "files")
    stage = run_snapshot(tmp_path / "data", archive, dt.date(2026, 3, 1))
    details = stage.manifest().details
    assert details["labels"] == {"cats": 6, "dogs": 6}
    assert details["given_splits"] == {
        "test": "validation",
        "validation": False,
        "photos": {"train": 6, "validation": 6},
        "repeated": 0,
        "without": 0,
    }


def test_training_folders_alone_are_split_by_hash_as_those_of_an_archive_of_them(tmp_path: Path) -> None:
    for label in ("cats", "dogs"):
        put_numbered(tmp_path / "pets" / "train", label, range(3))
    snapshot = take_snapshot(tmp_path / "pets", None, NullProgress())
    assert (snapshot.labels, snapshot.given) == ({"cats": 3, "dogs": 3}, None)
    assert snapshot.table["split"].null_count == 6
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "pets")
    details = run_snapshot(tmp_path / "data", archive, dt.date(2026, 3, 1)).manifest().details
    assert details["labels"] == snapshot.labels
    assert "given_splits" not in details

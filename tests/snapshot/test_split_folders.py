"""Datasets whose first level are splits: refused before anything is hashed; labels of such names are not."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from tasks.catalog import find_dataset
from tasks.errors import DatasetError
from tasks.paths import AnyPath, to_path
from tasks.run_context import RunContext
from tasks.snapshot.labels import check_split_folders
from tasks.snapshot.photos import take_snapshot
from tasks.snapshot.task import TakeSnapshot
from tests.snapshot.photo_files import put
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore

SPLITS = {f"{split}/{label}/{split}.jpg": b"x" for split in ("train", "val", "test") for label in ("cats", "dogs")}


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


def test_the_error_names_what_was_found_and_the_folder_to_give(tmp_path: Path) -> None:
    put(tmp_path, SPLITS)
    with pytest.raises(DatasetError) as caught:
        take_snapshot(tmp_path, None, progress := Tally())
    assert str(caught.value) == (
        f"{tmp_path} is divided into the splits 'train', 'test', 'val' with the same folders in them ('cats', 'dogs'), "
        "so that the splits would become the labels. Give a folder that holds one folder a label, such as "
        f"{tmp_path / 'train'}: it is split anew. A coming version reads such splits as they are."
    )
    assert progress.total == -1, "nothing was hashed"


def test_the_folder_for_training_is_a_dataset(tmp_path: Path) -> None:
    put(tmp_path, SPLITS)
    assert set(take_snapshot(tmp_path / "train", None, Tally()).labels) == {"cats", "dogs"}


def test_splits_on_an_object_store_are_refused(object_store: ObjectStore) -> None:
    folder: AnyPath = put(to_path(object_store.url("pets")), SPLITS)
    with pytest.raises(DatasetError, match=f"such as {folder}/train"):
        take_snapshot(folder, None, Tally())


def test_splits_in_an_archive_are_refused_and_the_archive_is_named(tmp_path: Path) -> None:
    put(tmp_path / "pets", SPLITS)
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "pets")
    task = TakeSnapshot(
        context=RunContext(data_root=str(tmp_path / "data"), run_id="a"),
        dataset=find_dataset(archive, 0),
        date=dt.date(2026, 3, 1),
    )
    download = task.requires()
    assert download is not None
    download.run()
    with pytest.raises(DatasetError, match=f"^{archive} is divided into .*, such as 'train', unpacked from it"):
        task.run()

"""One label whose folders are written in two forms of Unicode."""

from pathlib import Path

import pytest

from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.snapshot.labels import describe_merge
from tasks.snapshot.photos import Snapshot, take_snapshot
from tests.snapshot.photo_files import put
from tests.support.servers.object_store import ObjectStore

ONE, TWO = "caf\u00e9", "cafe\u0301"


def take(folder: AnyPath, *labels: str) -> Snapshot:
    """Take a snapshot of three photos of each label, and of three roses."""
    put(folder, {f"{label}/{number}.jpg": f"{label} {number}".encode() for label in labels for number in range(3)})
    put(folder, {f"roses/{number}.jpg": f"rose {number}".encode() for number in range(3)})
    return take_snapshot(folder, None, NullProgress())


def test_a_label_is_in_form_nfc_and_its_paths_are_as_the_files_have_them(tmp_path: Path) -> None:
    snapshot = take(tmp_path, TWO)
    assert snapshot.labels == {ONE: 3, "roses": 3}
    assert snapshot.merged_labels == {}
    paths = snapshot.table["path"].to_pylist()
    assert paths[:3] == [f"{TWO}/{number}.jpg" for number in range(3)]
    assert all((tmp_path / path).is_file() for path in paths)


def test_two_folders_that_differ_in_their_form_alone_are_one_label_and_are_told_of(tmp_path: Path) -> None:
    snapshot = take(tmp_path, ONE, TWO)
    assert snapshot.labels == {ONE: 6, "roses": 3}
    assert snapshot.merged_labels == {ONE: [TWO, ONE]}
    assert describe_merge(ONE, [TWO, ONE]) == (
        "'caf\u00e9' is one label of 2 folders, whose names differ only in their form of Unicode: "
        r"'cafe\u0301', 'caf\xe9'"
    )


def test_two_labels_on_an_object_store_are_merged_too(object_store: ObjectStore) -> None:
    snapshot = take(to_path(object_store.url("photos")), ONE, TWO)
    assert (snapshot.labels, snapshot.merged_labels) == ({ONE: 6, "roses": 3}, {ONE: [TWO, ONE]})


def test_the_same_photo_in_both_forms_is_a_duplicate_and_no_conflict(tmp_path: Path) -> None:
    put(tmp_path, {f"{ONE}/same.jpg": b"same", f"{TWO}/same.jpg": b"same"})
    snapshot = take(tmp_path)
    assert (snapshot.duplicates, snapshot.conflicts) == (1, 0)


@pytest.mark.parametrize("name", ["\ufb01g", "\u2460", "STRASSE", "stra\u00dfe"])
def test_names_that_only_look_alike_stay_as_they_are(tmp_path: Path, name: str) -> None:
    assert name in take(tmp_path, name).labels

"""Labels: two forms of Unicode, changes between runs, and too few photos."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.snapshot.labels import check_labels, describe_merge, label_changes
from tasks.snapshot.photos import Snapshot, take_snapshot
from tests.snapshot.photo_files import put, put_numbered

ONE, TWO = "caf\u00e9", "cafe\u0301"


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
    ("given", "error"),
    [
        (
            {"cats": {"train": 2, "test": 9}, "dogs": {"test": 1, "validation": 5}},
            r"training split .*: 'dogs' \(0\)\. Add",
        ),
        ({"cats": {"train": 2, "test": 9}, "dogs": {"train": 1}}, r"training split .*: 'dogs' \(1\)\. Add"),
        ({"cats": {"train": 2}}, r"training split .*: 'dogs' \(0\)\. Add"),
        ({"cats": {"train": 2}, "dogs": {"train": 2, "validation": 3}}, "test split .* has no usable photo"),
    ],
)
def test_given_splits_that_no_head_can_be_trained_or_tested_on_are_refused(
    given: Mapping[str, Mapping[str, int]], error: str
) -> None:
    with pytest.raises(DatasetError, match=error):
        check_labels({"cats": 9, "dogs": 9}, given=given)


def test_a_label_may_be_missing_from_the_given_test_split() -> None:
    check_labels({"cats": 3, "dogs": 2}, given={"cats": {"train": 1, "validation": 1, "test": 1}, "dogs": {"train": 2}})

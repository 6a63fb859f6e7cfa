"""What a listing leaves out: counts, examples, and the lines that name what may be missed."""

import json
import os
from itertools import permutations

import pytest

from tasks.snapshot.ignored import Ignored, IgnoredSummary, merge_ignored


def ignored(*entries: tuple[str, str]) -> Ignored:
    made = Ignored()
    for path, reason in entries:
        made.add(path, reason)
    return made


def test_the_examples_are_the_first_paths_in_whatever_order_they_are_found() -> None:
    for paths in permutations(["a", "b", "c", "d"]):
        summary = ignored(*((path, "raw photo") for path in paths)).summarise(())
        assert (summary.counts, summary.examples) == ({"raw photo": 4}, {"raw photo": ["a", "b", "c"]})


def test_a_folder_with_files_but_no_photo_is_named_and_one_with_a_photo_is_not() -> None:
    made = ignored(("raw/1.nef", "raw photo"), ("raw/@eaDir/", "system file"), ("roses/2.nef", "raw photo"))
    summary = made.summarise(["roses/a.jpg"])
    assert summary.folders == {"raw": {"raw photo": 1, "system file": 1}}
    assert summary.describe_folders() == [
        "raw/ has 2 files, none of them a photo that is read here (1 raw photo, 1 system file or folder)"
    ]


def test_clutter_alone_is_not_told() -> None:
    made = ignored(
        ("LICENSE.txt", "licence"),
        ("empty/.DS_Store", "hidden"),
        ("empty/Thumbs.db", "system file"),
        ("@eaDir/", "system file"),
    )
    summary = made.summarise(())
    assert (summary.describe_reasons(), summary.describe_folders(), summary.explain()) == ([], [], "")
    assert [row.reason for row in summary.rows()] == ["hidden", "licence", "system file"]


def test_a_line_has_a_count_a_remedy_and_examples() -> None:
    made = ignored(*((f"raw/{number}.nef", "raw photo") for number in range(1_200)), ("a.jpg", "outside a label"))
    assert made.summarise(["roses/a.jpg"]).describe_reasons() == [
        "1 photo outside a label (move into a folder named after the label): a.jpg",
        "1,200 raw photos (convert to JPEG): raw/0.nef, raw/1.nef, raw/10.nef and 1,197 more",
    ]


def test_many_folders_without_photos_are_kept_in_a_bounded_size_and_counted() -> None:
    summary = ignored(*((f"raw {number:02}/1.nef", "raw photo") for number in range(25))).summarise(())
    assert (len(summary.folders), summary.more_folders) == (10, 15)
    assert [line.partition(" has")[0] for line in summary.describe_folders()] == [
        "raw 00/",
        "raw 01/",
        "raw 02/",
        "and 22 more such folders",
    ]


def test_a_manifest_gives_back_what_it_was_given() -> None:
    summary = ignored(("raw/1.nef", "raw photo"), (os.fsdecode(b"caf\xe9/"), "name not UTF-8")).summarise(())
    assert IgnoredSummary.from_details(json.loads(json.dumps(summary.details()))) == summary


def test_counts_that_an_earlier_version_wrote_are_told_without_examples() -> None:
    summary = IgnoredSummary.from_details({"ignored": {"linked folder": 2, "hidden": 1}, "labels": {}})
    assert summary.describe_reasons() == ["2 linked folders (put the photos themselves there)"]
    assert IgnoredSummary.from_details({}) == IgnoredSummary()


@pytest.mark.parametrize(
    ("path", "told"),
    [(os.fsdecode(b"caf\xe9/"), "caf\\xe9/"), ("a\nb.nef", "a\\nb.nef"), ("\ud800.nef", "\\ud800.nef")],
)
def test_a_name_is_told_so_that_json_and_a_terminal_take_it(path: str, told: str) -> None:
    summary = ignored((path, "raw photo")).summarise(())
    assert summary.describe_reasons() == [f"1 raw photo (convert to JPEG): {told}"]
    json.dumps(summary.details(), ensure_ascii=False).encode()


def test_what_several_folders_leave_out_is_put_together() -> None:
    first = ignored(("raw/1.nef", "raw photo"), ("raw/2.nef", "raw photo")).summarise(()).below("in")
    second = (
        ignored(("1.nef", "raw photo"), ("2.nef", "raw photo"), ("b.txt", "not a photo")).summarise(()).below("also")
    )
    both = merge_ignored([first, second])
    assert both.counts == {"not a photo": 1, "raw photo": 4}
    assert both.examples["raw photo"] == ["also/1.nef", "also/2.nef", "in/raw/1.nef"]
    assert list(both.folders) == ["in/raw"]

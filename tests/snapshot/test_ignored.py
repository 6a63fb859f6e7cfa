"""Ignored entries: counts, examples, and the lines that name what a user may miss."""

import json
import os
from collections.abc import Sequence
from itertools import permutations

import pytest

from tasks.snapshot.ignored import Ignored, IgnoredSummary, merge_ignored


def summary(*entries: tuple[str, str], photos: Sequence[str] = ()) -> IgnoredSummary:
    """Summarise entries, given by path and reason."""
    ignored = Ignored()
    for path, reason in entries:
        ignored.add(path, reason)
    return ignored.summarise(photos)


def test_the_examples_are_the_first_paths_in_whatever_order_they_are_found() -> None:
    for paths in permutations(["a", "b", "c", "d"]):
        found = summary(*((path, "raw photo") for path in paths))
        assert (found.counts, found.examples) == ({"raw photo": 4}, {"raw photo": ["a", "b", "c"]})


def test_a_folder_with_files_but_no_photo_is_named_and_one_with_a_photo_is_not() -> None:
    entries = (("raw/1.nef", "raw photo"), ("raw/@eaDir/", "system file"), ("roses/2.nef", "raw photo"))
    found = summary(*entries, photos=["roses/a.jpg"])
    assert found.folders == {"raw": {"raw photo": 1, "system file": 1}}
    assert found.describe_folders() == [
        "raw/ has 2 files, none of them a photo that is read here (1 raw photo, 1 system file or folder)"
    ]


def test_clutter_alone_is_not_described() -> None:
    hidden, system = ("empty/.DS_Store", "hidden"), ("empty/Thumbs.db", "system file")
    found = summary(("LICENSE.txt", "licence"), hidden, system, ("@eaDir/", "system file"))
    assert (found.lines(), found.explain()) == ([], "")
    assert [row.reason for row in found.rows()] == ["hidden", "licence", "system file"]


def test_a_line_has_a_count_a_remedy_and_examples() -> None:
    raw = ((f"raw/{number}.nef", "raw photo") for number in range(1_200))
    assert summary(*raw, ("a.jpg", "outside a label"), photos=["roses/a.jpg"]).describe_reasons() == [
        "1 photo outside a label (move into a folder named after the label, or give labels by --labels or "
        "metadata.csv): a.jpg",
        "1,200 raw photos (convert to JPEG): raw/0.nef, raw/1.nef, raw/10.nef and 1,197 more",
    ]


def test_many_folders_without_photos_are_kept_in_a_bounded_size_and_counted() -> None:
    found = summary(*((f"raw {number:02}/1.nef", "raw photo") for number in range(25)))
    assert (len(found.folders), found.more_folders) == (10, 15)
    lines = [line.partition(" has")[0] for line in found.describe_folders()]
    assert lines == ["raw 00/", "raw 01/", "raw 02/", "and 22 more such folders"]


def test_a_manifest_gives_back_what_it_was_given() -> None:
    found = summary(("raw/1.nef", "raw photo"), (os.fsdecode(b"caf\xe9/"), "name not UTF-8"))
    assert IgnoredSummary.from_details(json.loads(json.dumps(found.details()))) == found


def test_counts_of_an_earlier_version_are_described_without_examples() -> None:
    found = IgnoredSummary.from_details({"ignored": {"linked folder": 2, "hidden": 1}, "labels": {}})
    assert found.describe_reasons() == ["2 linked folders (put the photos themselves there)"]
    assert IgnoredSummary.from_details({}) == IgnoredSummary()


@pytest.mark.parametrize(
    ("path", "shown"),
    [(os.fsdecode(b"caf\xe9/"), "caf\\xe9/"), ("a\nb.nef", "a\\nb.nef"), ("\ud800.nef", "\\ud800.nef")],
)
def test_a_name_is_written_so_that_json_and_a_terminal_take_it(path: str, shown: str) -> None:
    found = summary((path, "raw photo"))
    assert found.describe_reasons() == [f"1 raw photo (convert to JPEG): {shown}"]
    json.dumps(found.details(), ensure_ascii=False).encode()


def test_summaries_of_several_folders_are_merged() -> None:
    raw = [(f"{number}.nef", "raw photo") for number in (1, 2)]
    first = summary(*((f"raw/{path}", reason) for path, reason in raw)).below("in")
    both = merge_ignored([first, summary(*raw, ("b.txt", "not a photo")).below("also")])
    assert both.counts == {"not a photo": 1, "raw photo": 4}
    assert both.examples["raw photo"] == ["also/1.nef", "also/2.nef", "in/raw/1.nef"]
    assert list(both.folders) == ["in/raw"]

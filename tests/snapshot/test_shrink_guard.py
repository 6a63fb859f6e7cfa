"""The guard against a night in which photos vanished, and which labels came and went."""

import pyarrow as pa
import pytest

from tasks.errors import DatasetError
from tasks.shards.schemas import SNAPSHOT
from tasks.snapshot.labels import label_changes
from tasks.snapshot.shrink_guard import check_shrink

SINCE = "2026-03-01"


def photos(*rows: tuple[str, str]) -> pa.Table:
    """A snapshot's table of photos that are given by path and content."""
    return pa.table(
        {
            "sha256": [content for _, content in rows],
            "path": [path for path, _ in rows],
            "label": [path.partition("/")[0] for path, _ in rows],
            "bytes": pa.array([1] * len(rows), pa.int64()),
            "duplicate_of": pa.array([None] * len(rows), pa.string()),
            "conflict": [False] * len(rows),
        },
        schema=SNAPSHOT,
    )


def many(label: str, numbers: range) -> list[tuple[str, str]]:
    return [(f"{label}/{number}.jpg", f"{label} {number}") for number in numbers]


BEFORE = [*many("roses", range(10)), *many("tulips", range(10))]


@pytest.mark.parametrize(("left", "passes"), [(6, True), (5, False)])
def test_as_many_as_are_allowed_may_be_gone_and_no_more(left: int, passes: bool) -> None:
    now = photos(*many("roses", range(left)), *many("tulips", range(10)))
    if passes:
        check_shrink(photos(*BEFORE), now, 0.2, SINCE)
        return
    with pytest.raises(DatasetError, match="5 of the 20 photos of 2026-03-01 are gone") as caught:
        check_shrink(photos(*BEFORE), now, 0.2, SINCE)
    assert "('roses' 5), more than --max-shrink 0.2; there are 15 now" in str(caught.value)
    assert "--max-shrink 1" in str(caught.value)


def test_the_labels_that_lost_most_come_first_and_few_of_them_are_named() -> None:
    before = [row for number in range(7) for row in many(f"label{number}", range(number + 1))]
    with pytest.raises(DatasetError) as caught:
        check_shrink(photos(*before), photos(*many("other", range(50))), 0.2, SINCE)
    assert "('label6' 7, 'label5' 6, 'label4' 5, 'label3' 4, 'label2' 3 and 2 more)" in str(caught.value)


def test_a_photo_that_was_moved_or_edited_in_its_place_is_not_gone() -> None:
    moved = [(f"lilies/{path}", content) for path, content in BEFORE[:10]]
    edited = [(path, f"{content}, brighter") for path, content in BEFORE[10:]]
    check_shrink(photos(*BEFORE), photos(*moved, *edited), 0, SINCE)


def test_another_dataset_of_the_same_size_in_its_place_is_refused() -> None:
    other = photos(*many("cars", range(10)), *many("ships", range(10)))
    with pytest.raises(DatasetError, match="20 of the 20 photos"):
        check_shrink(photos(*BEFORE), other, 0.99, SINCE)


def test_all_may_go_where_the_user_says_so() -> None:
    check_shrink(photos(*BEFORE), photos(), 1, SINCE)


def test_labels_come_and_go() -> None:
    changes = label_changes({"roses": 3, "asters": 3}, {"roses": 4, "tulips": 1, "cacti": 9})
    assert changes == {"new": ["cacti", "tulips"], "gone": ["asters"]}


def test_on_the_first_night_no_label_is_new() -> None:
    assert label_changes(None, {"roses": 4}) == {"new": [], "gone": []}


def test_a_label_whose_folder_is_written_in_another_form_of_unicode_neither_comes_nor_goes() -> None:
    assert label_changes({"cafe\u0301": 3}, {"caf\u00e9": 3}) == {"new": [], "gone": []}

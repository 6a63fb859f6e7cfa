"""The guard against a run in which photos vanished."""

import pyarrow as pa
import pytest

from tasks.errors import DatasetError
from tasks.snapshot.shrink_guard import check_shrink


def many(label: str, count: int) -> dict[str, str]:
    """Contents of photos of a label, by path."""
    return {f"{label}/{number}.jpg": f"{label} {number}" for number in range(count)}


BEFORE = many("roses", 10) | many("tulips", 10)


def check(now: dict[str, str], max_shrink: float = 0.2, before: dict[str, str] = BEFORE) -> None:
    """Compare the snapshots of two datasets."""
    columns = ([list(each.values()), list(each), [path.partition("/")[0] for path in each]] for each in (before, now))
    tables = [
        pa.table(values, pa.schema(dict.fromkeys(("sha256", "path", "label"), pa.string()))) for values in columns
    ]
    check_shrink(tables[0], tables[1], max_shrink, "2026-03-01")


def test_the_largest_share_may_be_gone_and_no_more() -> None:
    check(many("roses", 6) | many("tulips", 10))
    with pytest.raises(DatasetError, match="5 of the 20 photos of 2026-03-01 are gone") as caught:
        check(many("roses", 5) | many("tulips", 10))
    assert "('roses' 5), more than --max-shrink 0.2; there are 15 now" in str(caught.value)
    assert "--max-shrink 1" in str(caught.value)


def test_the_labels_that_lost_most_come_first_and_few_of_them_are_named() -> None:
    before = {path: content for number in range(7) for path, content in many(f"label{number}", number + 1).items()}
    with pytest.raises(DatasetError) as caught:
        check(many("other", 50), before=before)
    assert "('label6' 7, 'label5' 6, 'label4' 5, 'label3' 4, 'label2' 3 and 2 more)" in str(caught.value)


def test_a_photo_that_was_moved_or_edited_in_its_place_is_not_gone() -> None:
    moved = {f"lilies/{path}": content for path, content in many("roses", 10).items()}
    edited = {path: f"{content}, brighter" for path, content in many("tulips", 10).items()}
    check(moved | edited, max_shrink=0)


def test_another_dataset_of_the_same_size_in_its_place_is_refused_unless_all_may_go() -> None:
    with pytest.raises(DatasetError, match="20 of the 20 photos"):
        check(many("cars", 10) | many("ships", 10), max_shrink=0.99)
    check({}, max_shrink=1)

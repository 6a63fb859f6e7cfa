"""Limits on the photos without a picture, and the errors beyond these limits."""

import pyarrow as pa
import pytest

from tasks.decode.rejected_rows import check_left, check_missing, missing_photos
from tasks.decode.rejections import MissingPhoto
from tasks.errors import DatasetError
from tasks.shards.schemas import SNAPSHOT
from tests.support.data_root import snapshot_row


def missing(count: int) -> list[MissingPhoto]:
    return [MissingPhoto(f"daisy/{number:02d}.jpg", "damaged", "The file is damaged.") for number in range(count)]


def left(**labels: int) -> pa.Table:
    """Photos of a snapshot that have a picture, by the number of each label."""
    paths = [f"{label}/{number}.jpg" for label, count in labels.items() for number in range(count)]
    return pa.Table.from_pylist([snapshot_row(number, path) for number, path in enumerate(paths)], SNAPSHOT)


@pytest.mark.parametrize(("count", "wanted", "most"), [(0, 0, 0.0), (5, 100, 0.05), (100, 100, 1.0)])
def test_up_to_the_limit_the_run_goes_on(count: int, wanted: int, most: float) -> None:
    check_missing(missing(count), wanted, most)


def test_beyond_the_limit_reasons_are_counted_and_the_first_photos_listed() -> None:
    rows = [*missing(12), MissingPhoto("tulips/a.jpg", "empty", "The file is empty.")]
    with pytest.raises(DatasetError) as caught:
        check_missing(rows, 100, 0.05)
    text = str(caught.value)
    assert text.startswith("13 of 100 photos cannot be decoded (damaged 12, empty 1), more than --max-rejected 0.05")
    assert "daisy/09.jpg" in text
    assert "daisy/10.jpg" not in text
    assert text.endswith("and 3 more")


def test_a_label_with_fewer_than_three_photos_left_is_named_with_what_cannot_be_decoded() -> None:
    labels = ["daisy", "roses"]
    check_left(left(daisy=3, roses=3), labels, missing(4))
    for count, photos in ((2, left(daisy=2, roses=3)), (0, left(roses=3))):
        with pytest.raises(DatasetError, match=rf"(?s)'daisy' \({count}\).*daisy/00.jpg: The file is damaged"):
            check_left(photos, labels, missing(1))


def test_of_given_splits_training_photos_of_each_label_and_a_test_photo_must_be_left() -> None:
    splits = ["train", "train", "test", "train", "train"]
    photos = left(daisy=3, roses=2).set_column(6, "split", pa.array(splits))
    check_left(photos, ["daisy", "roses"], missing(1))
    for lost, error in ((0, r"training split .* 'daisy' \(1\)"), (2, "test split .* has no usable photo")):
        rest = pa.concat_tables([photos.slice(0, lost), photos.slice(lost + 1)])
        with pytest.raises(DatasetError, match=rf"(?s){error}.*daisy/00.jpg: The file is damaged"):
            check_left(rest, ["daisy", "roses"], missing(1))


def test_photos_are_listed_by_the_paths_that_the_snapshot_knows() -> None:
    wanted = pa.table({"sha256": ["a", "b"], "path": ["z/new.jpg", "y/other.jpg"]})
    rejected = pa.table({"sha256": ["a"], "path": ["old.jpg"], "reason": ["empty"], "message": ["It is empty."]})
    skipped = [MissingPhoto("x/gone.jpg", "vanished", "It is gone.")]
    assert missing_photos(wanted, rejected, skipped) == [*skipped, MissingPhoto("z/new.jpg", "empty", "It is empty.")]

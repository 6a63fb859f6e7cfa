"""Comparisons of made-up photos: which changes are found, and which are none."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tasks.drift.comparison import MOST_SHOWN, choose_sample, compare_photos
from tasks.drift.result import LEVEL
from tests.bottleneck.pictures import key_of
from tests.drift.made_up import make_up

LABELS = [("daisy", "roses", "tulips", "roses")[number % 4] for number in range(1200)]
#: Every sixth photo is new, of all labels alike.
NEW = np.arange(1200) // 4 % 6 == 0


def test_photos_that_are_alike_differ_in_nothing() -> None:
    photos, statistics = make_up(LABELS)
    result = compare_photos(photos, NEW, statistics)
    assert (result.changes, result.typical) == ([], ())
    assert (result.new, result.earlier, sum(result.sampled)) == (200, 1000, 1200)
    assert {test.name.split()[0] for test in result.tests} == {
        *("label", "pixels", "aspect", "format", "grey", "vectors"),
        *("brightness", "sharpness", "saturation", "warmth", "tint"),
    }


@pytest.mark.parametrize("name", ["brightness", "sharpness", "saturation", "warmth", "tint"])
@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_a_number_that_is_higher_or_lower_is_found_and_shown_by_extreme_photos(name: str, shift: float) -> None:
    photos, statistics = make_up(LABELS, **{name: shift * NEW})
    result = compare_photos(photos, NEW, statistics)
    assert [test.name for test in result.changes] == [name]
    (test,) = result.changes
    assert test.new - test.earlier == pytest.approx(shift, abs=0.03)
    keys, values = statistics["sha256"].to_pylist(), np.asarray(statistics[name])
    shown = [values[keys.index(photo.sha256)] for photo in result.typical]
    assert len(shown) == MOST_SHOWN
    rank = np.sign(shift) * np.sort(np.sign(shift) * values[NEW])[::-1]
    # Ranks within labels, whose numbers differ a little.
    assert np.sign(shift) * min(shown, key=lambda value: np.sign(shift) * value) >= np.sign(shift) * rank[45]


def test_vectors_that_lie_elsewhere_are_found() -> None:
    photos, statistics = make_up(LABELS, vector=0.3 * NEW[:, np.newaxis] * np.ones(64))
    result = compare_photos(photos, NEW, statistics)
    assert [test.name for test in result.changes] == ["vectors"]
    # In standard deviations of new and earlier photos together.
    assert result.changes[0].new == pytest.approx(0.3 / (1 + 0.3**2 * 5 / 36) ** 0.5, abs=0.03)


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("format", np.where(NEW, "PNG", "JPEG"), "format PNG 100 % (earlier 0 %)"),
        ("width", np.where(NEW, 640, 320).astype(np.int32), "pixels 153,600 (earlier 76,800)"),
        (
            "saturation",
            np.where(NEW & (np.arange(1200) % 3 == 0), 0, 0.5).astype(np.float32),
            "grey photos 50 % (earlier 0 %)",
        ),
    ],
)
def test_other_formats_sizes_and_grey_photos_are_found(column: str, values: npt.NDArray[Any], told: str) -> None:
    photos, statistics = make_up(LABELS)
    place = statistics.column_names.index(column)
    statistics = statistics.set_column(place, statistics.schema.field(column), pa.array(values))
    assert told in list(map(str, compare_photos(photos, NEW, statistics).changes))


def test_another_mix_of_labels_is_found_and_is_no_other_kind_of_photo() -> None:
    labels = [*["daisy"] * 100, *["roses"] * 100, *["daisy"] * 200, *["roses"] * 800]
    new = np.arange(1200) < 200
    dark = -0.3 * np.array([label == "daisy" for label in labels])
    photos, statistics = make_up(labels, brightness=dark)
    result = compare_photos(photos, new, statistics)
    assert list(map(str, result.changes)) == ["label daisy 50 % (earlier 20 %)"]
    assert {photo.label for photo in result.typical} == {"daisy"}
    assert {photo.sha256 for photo in result.typical} <= {key_of(number) for number in range(100)}
    (brightness,) = (test for test in result.tests if test.name == "brightness")
    assert brightness.new == pytest.approx(brightness.earlier, abs=0.03), "in the labels' proportions"


def test_a_label_that_only_new_photos_have_is_a_change_of_labels_alone() -> None:
    labels = [*["ants"] * 200, *["roses"] * 1000]
    photos, statistics = make_up(labels, sharpness=1.0 * (np.arange(1200) < 200))
    result = compare_photos(photos, np.arange(1200) < 200, statistics)
    assert [str(test) for test in result.tests] == ["label ants 100 % (earlier 0 %)"]
    assert (result.sampled, len(result.changes)) == ((0, 0), 1)


def test_a_significant_trifle_among_many_photos_is_no_change() -> None:
    labels, new = ["daisy", "roses"] * 5000, np.arange(10000) % 4 < 2
    photos, statistics = make_up(labels, brightness=0.012 * new)
    result = compare_photos(photos, new, statistics)
    (brightness,) = (test for test in result.tests if test.name == "brightness")
    assert brightness.p_value <= LEVEL
    assert not result.changes


def test_few_photos_are_weak_evidence() -> None:
    photos, statistics = make_up(LABELS, sharpness=-0.1 * (np.arange(1200) < 5))
    assert not compare_photos(photos, np.arange(1200) < 5, statistics).changes


def test_photos_of_several_changes_share_the_places_and_each_is_shown_once() -> None:
    photos, statistics = make_up(LABELS, brightness=0.2 * NEW, sharpness=-0.2 * NEW, warmth=0.2 * NEW)
    typical = compare_photos(photos, NEW, statistics).typical
    assert [photo.change for photo in typical] == [
        name for name in dict.fromkeys(photo.change for photo in typical) for _ in range(MOST_SHOWN // 3)
    ]
    assert len({photo.sha256 for photo in typical}) == len(typical) == MOST_SHOWN


def test_a_sample_stays_the_same_as_far_as_it_can_when_photos_are_added() -> None:
    keys = [key_of(number) for number in range(1000)]
    sample = set(choose_sample(pa.chunked_array([keys]), 100).to_pylist())
    grown = set(choose_sample(pa.chunked_array([[*keys, *map(key_of, range(1000, 1100))]]), 100).to_pylist())
    assert (len(sample), len(grown)) == (100, 100)
    assert grown & set(keys) <= sample
    assert choose_sample(pa.chunked_array([keys[:50]]), 100).to_pylist() != keys[:50]

"""Statistics of photos: their values, and which of them are computed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from tasks.drift.photo_statistics import PictureStatistics, StatisticsStore, measure_picture, projection
from tasks.drift.settings import DriftSettings
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tasks.synthetic.composition import draw_photo
from tests.bottleneck.pictures import add_bottlenecks, decoded_store, key_of, keys_of, numbers_of
from tests.support.data_root import DATASET, SETTINGS
from tests.support.progress import Tally
from tests.train.examples import BOTTLENECK

DRIFT_SETTINGS = DriftSettings.of(SETTINGS.train)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    """A drawn flower."""
    path = tmp_path_factory.mktemp("photo") / "flower.jpg"
    path.write_bytes(draw_photo(0))
    with Image.open(path) as opened:
        return opened.convert("RGB").resize((224, 224))


@pytest.fixture
def store(tmp_path: Path) -> StatisticsStore:
    """The statistics of a dataset with pictures and bottlenecks of the photos 0 to 9; 8 and 9 lack one of them."""
    root = DataRoot(tmp_path / "data")
    decoded_store(root, DRIFT_SETTINGS.decode, [range(9)])
    add_bottlenecks(BOTTLENECK.store(root), [*range(8), 9], 2, BOTTLENECK.backbone.width)
    return StatisticsStore(root, DATASET, DRIFT_SETTINGS)


def measure(photo: Image.Image) -> PictureStatistics:
    return measure_picture(np.asarray(photo))


def computed(store: StatisticsStore, *numbers: int) -> int:
    """Update the statistics of some photos; returns how many were computed."""
    table, count = store.update(keys_of(numbers), NullProgress())
    assert sorted(table["sha256"].to_pylist()) == sorted(key_of(number) for number in numbers if number < 8)
    return count


def test_a_plain_colour_has_its_own_values() -> None:
    found = measure_picture(np.full((16, 16, 3), (200, 100, 50), np.uint8))
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert found == pytest.approx((luma / 255, 0.0, 150 / 255, 150 / 255, -25 / 255), abs=0.003)


def test_sharpness_is_the_laplacian_by_the_standard_deviation() -> None:
    checks = (np.indices((8, 8)).sum(axis=0) % 2 * 100).astype(np.uint8)
    found = measure_picture(np.repeat(checks[:, :, np.newaxis], 3, axis=2))
    assert found.sharpness == pytest.approx(400 / 51, rel=1e-3)


def test_a_blurred_photo_is_less_sharp_and_contrast_changes_little(photo: Image.Image) -> None:
    sharp, blurred = measure(photo), measure(photo.filter(ImageFilter.GaussianBlur(2)))
    assert blurred.sharpness < 0.5 * sharp.sharpness
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=0.01)
    assert measure(photo.point(lambda level: level // 2)).sharpness == pytest.approx(sharp.sharpness, rel=0.1)


def test_a_grey_photo_has_no_saturation_and_a_cast_shows_in_warmth_and_tint(photo: Image.Image) -> None:
    plain, grey = measure(photo), measure(photo.convert("L").convert("RGB"))
    assert grey[2:] == pytest.approx((0, 0, 0))
    assert plain.saturation > 0.05
    red, green, blue = photo.split()
    warm = measure(Image.merge("RGB", (red, green, blue.point(lambda level: level // 2))))
    assert warm.warmth > plain.warmth + 0.05
    green_cast = measure(Image.merge("RGB", (red.point(lambda level: level // 2), green, blue)))
    assert green_cast.tint > plain.tint + 0.05


def test_the_projection_is_the_same_for_ever_and_keeps_distances() -> None:
    expected = [
        [-1, 1, 1, -1, 1, 1],
        [1, -1, -1, -1, -1, -1],
        [1, 1, -1, 1, 1, -1],
        [-1, 1, -1, -1, -1, 1],
        [1, 1, -1, -1, 1, 1],
    ]
    assert projection(5)[:, :6] * 5**0.5 == pytest.approx(np.array(expected))
    vectors = np.random.default_rng(0).normal(size=(50, 4000))
    before, after = (np.linalg.norm(each - each[0], axis=1)[1:] for each in (vectors, vectors @ projection(4000)))
    assert (after / before).std() < 0.2 * (after / before).mean()


def test_each_photo_has_a_row_of_its_picture_and_its_plain_view(store: StatisticsStore) -> None:
    table, _ = store.update(keys_of(range(10)), NullProgress())
    row = next(row for row in table.to_pylist() if row["sha256"] == key_of(3))
    width = BOTTLENECK.backbone.width
    expected = numbers_of(3, 2, width)[0].astype(np.float32) @ projection(width)
    assert row["vector"] == pytest.approx(expected, rel=1e-5)
    size = DRIFT_SETTINGS.decode.size
    assert (row["width"], row["height"], row["format"]) == (size, size, "PNG")


def test_only_missing_photos_are_computed_and_those_that_are_no_longer_wanted_are_dropped(
    store: StatisticsStore,
) -> None:
    progress = Tally()
    store.update(keys_of([0, 1, 2]), progress)
    assert (progress.total, progress.done) == (3, 3)
    assert [computed(store, *numbers) for numbers in ((0, 1, 2), (0, 1, 3), (0, 1, 2, 3, 8, 9))] == [0, 1, 1]


@pytest.mark.parametrize("damage", ["truncated", "other settings", "other schema"])
def test_statistics_that_cannot_be_used_are_computed_anew(store: StatisticsStore, damage: str) -> None:
    computed(store, 0, 1)
    path = store.root.below("drift", DATASET, "photo_statistics.parquet")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        changed = {"other settings": replace(DRIFT_SETTINGS, bottleneck=None)}.get(damage, DRIFT_SETTINGS)
        other = replace(store, settings=changed)
        if damage == "other settings":
            table, count = other.update(keys_of([0, 1, 8]), NullProgress())
            assert (table.num_rows, count, "vector" in table.column_names) == (3, 3, False)
        else:
            pa.parquet.write_table(pa.table({"sha256": [key_of(0)]}, metadata=store.schema.metadata), path)
    assert computed(store, 0, 1) == 2
    assert computed(store, 0, 1) == 0

"""The pictures that a network is trained on: every photo once a pass, half of them mirrored, and nothing left over."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tasks.decode.photos import open_stores
from tasks.errors import StoreError
from tasks.storage.layout import DataRoot
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Batch, Pictures, open_pictures
from tests.bottleneck.pictures import key_of
from tests.train.tiny import DECODE, SIZE, coloured, coloured_photos

COUNT = 30
EVERYTHING = np.ones(COUNT, bool)


@pytest.fixture
def photos(root: DataRoot) -> LabelledPhotos:
    return coloured_photos(root, COUNT)[0]


@pytest.fixture
def pictures(root: DataRoot, photos: LabelledPhotos) -> Iterator[Pictures]:
    with open_pictures(photos, EVERYTHING, DECODE, root) as pictures:
        yield pictures


def identify(batches: list[Batch]) -> list[tuple[int, bool]]:
    """Number of each photo in batches, and whether it is mirrored; each stands beside its own label."""
    known, shown = {}, []
    for number in range(COUNT):
        pixels = coloured(number, SIZE)
        known[pixels.tobytes()], known[pixels[:, ::-1].tobytes()] = (number, False), (number, True)
    for pixels, labels in batches:
        assert pixels.dtype == np.uint8
        for picture, label in zip(pixels, labels, strict=True):
            number, mirrored = known[picture.tobytes()]
            assert label == number % 2
            shown.append((number, mirrored))
    return shown


def take(pictures: Pictures, batches: int, seed: int = 0, first: int = 0) -> list[tuple[int, bool]]:
    """The photos of some batches of 8."""
    return identify(list(islice(pictures.shuffled(8, seed, first), batches)))


def test_in_order_every_photo_is_read_once_and_unmirrored_and_the_last_batch_is_smaller(pictures: Pictures) -> None:
    batches = list(pictures.in_order(8))
    assert [len(batch.labels) for batch in batches] == [8, 8, 8, 6]
    assert identify(batches) == [(number, False) for number in sorted(range(COUNT), key=key_of)]


def test_shuffled_batches_are_full_and_each_pass_shows_every_photo_once(pictures: Pictures) -> None:
    shown = [number for number, _ in take(pictures, batches=15)]  # four passes
    passes = [shown[start : start + COUNT] for start in range(0, len(shown), COUNT)]
    assert [sorted(one) for one in passes] == [list(range(COUNT))] * 4
    assert len(set(map(tuple, passes))) == 4


def test_fewer_photos_than_a_batch_fill_it_in_several_passes(root: DataRoot, photos: LabelledPhotos) -> None:
    few = np.arange(COUNT) < 3
    with open_pictures(photos, few, DECODE, root) as pictures:
        shown = Counter(number for number, _ in take(pictures, batches=3))
    assert set(shown.values()) == {8}


@pytest.mark.parametrize("first", [1, 3, 4, 11])
def test_a_resumed_order_continues_the_first_one_and_another_seed_gives_another(pictures: Pictures, first: int) -> None:
    shown = take(pictures, 15)
    assert shown[8 * first :] == take(pictures, 15 - first, first=first)
    assert shown != take(pictures, 15, seed=1)


def test_half_of_the_photos_are_mirrored_and_not_always_the_same(pictures: Pictures) -> None:
    shown = take(pictures, batches=150)
    mirrored = Counter(number for number, turned in shown if turned)
    assert 0.42 < mirrored.total() / len(shown) < 0.58  # five standard deviations of 1,200 draws
    assert all(0 < mirrored[number] < 40 for number in range(COUNT))


def test_some_photos_are_read_in_the_order_of_the_photos_and_mirrored_as_among_all(
    root: DataRoot, photos: LabelledPhotos, pictures: Pictures
) -> None:
    which = photos.of("train")
    among_all = dict(take(pictures, 4)[:COUNT])
    with open_pictures(photos, which, DECODE, root) as fewer:
        assert fewer.keys == [key for key, wanted in zip(photos.sha256, which, strict=True) if wanted]
        assert len(fewer) == which.sum() < COUNT
        assert [key_of(number) for number, _ in identify(list(fewer.in_order(8)))] == fewer.keys
        among_fewer = dict(take(fewer, 4)[: len(fewer)])
    assert among_fewer == {number: among_all[number] for number in among_fewer}


def test_the_order_does_not_depend_on_the_shards(tmp_path: Path) -> None:
    shown = []
    for name, count in (("one", COUNT), ("other", COUNT + 9)):
        root = DataRoot(tmp_path / name)
        photos, _ = coloured_photos(root, count)
        wanted = np.array([int(path.split("/")[1].removesuffix(".png")) < COUNT for path in photos.paths])
        with open_pictures(photos, wanted, DECODE, root) as pictures:
            shown.append(take(pictures, 8))
    assert shown[0] == shown[1]


def test_nothing_is_left_in_the_data_root_and_nothing_is_seen_there_meanwhile(
    root: DataRoot, photos: LabelledPhotos
) -> None:
    before = sorted(root.path.rglob("*"))
    with open_pictures(photos, EVERYTHING, DECODE, root) as pictures:
        assert len(pictures) == COUNT
        assert sorted(root.path.rglob("*")) == before
    assert sorted(root.path.rglob("*")) == before


def test_reading_that_is_left_early_ends_its_threads(pictures: Pictures) -> None:
    threads = set(threading.enumerate())
    for _ in islice(batches := pictures.shuffled(8, 0), 2):
        assert set(threading.enumerate()) - threads
    batches.close()
    assert set(threading.enumerate()) <= threads


def test_lost_pictures_are_an_error_that_says_what_to_delete(root: DataRoot, photos: LabelledPhotos) -> None:
    open_stores(root, DECODE).decoded.shards()[0].unlink()
    with (
        pytest.raises(StoreError, match=r"20 of 30 pictures: shards are gone\. Delete its folder manifests"),
        open_pictures(photos, EVERYTHING, DECODE, root),
    ):
        pass


def test_damaged_picture_is_an_error(pictures: Pictures) -> None:
    pictures.extents[7, 1] //= 2
    with pytest.raises(StoreError, match="picture of the decoded store is damaged"):
        list(pictures.in_order(8))

"""The dataset that is drawn: the same for the same seed, of the official layout, of many different photos."""

import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.errors import SettingError
from tasks.progress import NullProgress
from tasks.synthetic.composition import LABELS, draw_photo
from tasks.synthetic.sample import draw_sample
from tests.support.progress import Tally


def members_of(archive: Path) -> dict[str, bytes]:
    """Names and bytes of a sample's members, in their order."""
    with tarfile.open(archive) as tar:
        return {member.name: reader.read() for member in tar if (reader := tar.extractfile(member))}


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample that is large enough to be drawn by several processes."""
    archive = tmp_path_factory.mktemp("sample") / "sample.tgz"
    draw_sample(archive, 50, NullProgress())
    return archive


def test_the_labels_are_those_of_the_real_photos() -> None:
    assert LABELS == ("daisy", "dandelion", "roses", "sunflowers", "tulips")


def test_the_archive_is_the_same_byte_for_byte_and_progress_counts_photos(tmp_path: Path) -> None:
    archives = [tmp_path / "one.tgz", tmp_path / "two-with-another-name.tgz"]
    for archive in archives:
        progress = Tally()
        draw_sample(archive, 6, progress)
        assert progress == Tally(6, "photos", 6, beginnings=1)
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_a_larger_sample_extends_a_smaller_one(tmp_path: Path) -> None:
    archives = [tmp_path / "small.tgz", tmp_path / "large.tgz"]
    for archive, photos in zip(archives, (7, 11), strict=True):
        draw_sample(archive, photos, NullProgress())
    small, large = map(members_of, archives)
    assert small.items() < large.items()
    assert len(large) == 11


def test_fifty_photos_are_different_balanced_sorted_and_drawn_by_other_processes_as_here(fifty: Path) -> None:
    photos = members_of(fifty)
    assert photos["sample/sunflowers/000048.jpg"] == draw_photo(48)
    assert len(set(photos.values())) == 50
    assert list(photos) == sorted(photos)
    assert Counter(name.split("/")[1] for name in photos) == dict.fromkeys(LABELS, 10)
    with tarfile.open(fifty) as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_photos_are_jpegs_of_about_320_by_240_in_both_orientations_and_not_flat() -> None:
    sizes = []
    for index in range(20):
        with Image.open(io.BytesIO(draw_photo(index))) as photo:
            assert (photo.format, photo.mode) == ("JPEG", "RGB")
            sizes.append(photo.size)
            values = np.asarray(photo, np.float64)
        assert 15 < values.mean() < 240
        assert values.std() > 8
    assert all(300 <= max(size) <= 340 and 220 <= min(size) <= 260 for size in sizes)
    assert len({width > height for width, height in sizes}) == 2
    assert len(set(sizes)) > 10


def test_a_sample_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class Stopping(Tally):
        def advance(self, count: int) -> None:
            raise InterruptedError(count)

    with pytest.raises(InterruptedError):
        draw_sample(tmp_path / "sample.tgz", 6, Stopping())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("photos", [0, -3])
def test_a_sample_of_no_photos_is_refused(tmp_path: Path, photos: int) -> None:
    with pytest.raises(SettingError, match=f"sample of {photos} photos"):
        draw_sample(tmp_path / "sample.tgz", photos, NullProgress())

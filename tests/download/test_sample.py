"""The dataset that is drawn: the same for the same seed, of the official layout, of many different photos."""

import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.download.archives import extract, photos_folder
from tasks.errors import SettingError
from tasks.progress import NullProgress
from tasks.snapshot.ignored_names import unwanted_name
from tasks.snapshot.listing import is_photo_suffix
from tasks.synthetic.composition import LABELS, draw_photo
from tasks.synthetic.sample import draw_sample
from tests.support.progress import Tally


def drawn(path: Path, photos: int, seed: int = 0) -> dict[str, bytes]:
    """Names and bytes of a sample's members, in their order."""
    draw_sample(path, photos, NullProgress(), seed)
    with tarfile.open(path) as tar:
        return {member.name: reader.read() for member in tar if (reader := tar.extractfile(member))}


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample that is large enough to be drawn by several processes."""
    archive = tmp_path_factory.mktemp("sample") / "sample.tgz"
    draw_sample(archive, 50, NullProgress())
    return archive


def test_the_labels_are_those_of_the_real_photos() -> None:
    assert LABELS == ("daisy", "dandelion", "roses", "sunflowers", "tulips")


def test_the_archive_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    archives = [tmp_path / "one.tgz", tmp_path / "two-with-another-name.tgz"]
    for archive in archives:
        draw_sample(archive, 12, NullProgress())
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_photos_drawn_by_other_processes_are_the_same_as_those_drawn_here(fifty: Path) -> None:
    with tarfile.open(fifty) as tar:
        reader = tar.extractfile("sample/sunflowers/000048.jpg")
        assert reader is not None
        assert reader.read() == draw_photo(0, 48)


def test_a_larger_sample_extends_a_smaller_one(tmp_path: Path) -> None:
    small, large = drawn(tmp_path / "small.tgz", 7), drawn(tmp_path / "large.tgz", 11)
    assert small.items() < large.items()
    assert len(large) == 11


def test_another_seed_draws_other_photos(tmp_path: Path) -> None:
    one, two = drawn(tmp_path / "one.tgz", 5, seed=0), drawn(tmp_path / "two.tgz", 5, seed=1)
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_members_are_sorted_and_carry_no_time_or_user(fifty: Path) -> None:
    with tarfile.open(fifty) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}


def test_it_is_extracted_like_any_download_and_its_labels_are_balanced(fifty: Path, tmp_path: Path) -> None:
    assert extract(fifty, tmp_path, NullProgress()).files == 50
    folder = photos_folder(tmp_path, unwanted_name, is_photo_suffix)
    assert Counter(photo.parent.name for photo in folder.glob("*/*.jpg")) == dict.fromkeys(LABELS, 10)


def test_photos_are_jpegs_of_about_320_by_240_in_both_orientations() -> None:
    sizes = []
    for index in range(20):
        with Image.open(io.BytesIO(draw_photo(3, index))) as photo:
            assert (photo.format, photo.mode) == ("JPEG", "RGB")
            sizes.append(photo.size)
    assert all(300 <= max(size) <= 340 and 220 <= min(size) <= 260 for size in sizes)
    assert len({width > height for width, height in sizes}) == 2
    assert len(set(sizes)) > 10


def test_no_two_photos_are_the_same(fifty: Path) -> None:
    with tarfile.open(fifty) as tar:
        hashes = {hashlib.sha256(reader.read()).digest() for member in tar if (reader := tar.extractfile(member))}
    assert len(hashes) == 50


def test_photos_are_neither_black_nor_white_nor_flat() -> None:
    for index in range(15):
        with Image.open(io.BytesIO(draw_photo(5, index))) as photo:
            values = np.asarray(photo, np.float64)
        assert 15 < values.mean() < 240
        assert values.std() > 8


def test_progress_counts_photos(tmp_path: Path) -> None:
    recorder = Tally()
    draw_sample(tmp_path / "sample.tgz", 6, recorder)
    assert (recorder.total, recorder.unit, recorder.done) == (6, "photos", 6)


def test_a_sample_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class Stop(Exception):  # noqa: N818 - stands for whatever ends a run
        pass

    class Stopping(Tally):
        def advance(self, count: int) -> None:
            raise Stop(count)

    with pytest.raises(Stop):
        draw_sample(tmp_path / "sample.tgz", 6, Stopping())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("photos", [0, -3])
def test_a_sample_of_no_photos_is_refused(tmp_path: Path, photos: int) -> None:
    with pytest.raises(SettingError, match=f"sample of {photos} photos"):
        draw_sample(tmp_path / "sample.tgz", photos, NullProgress())

"""Cells: each way trains on the drawn photos, is tested on the test split, and counts its cost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.compare.cells import CellResult, train_cell
from tasks.compare.settings import CellSettings, Way
from tasks.progress import NullProgress, Progress
from tasks.storage.layout import DataRoot
from tasks.train.photos import LabelledPhotos
from tests.support.progress import Tally
from tests.train.tiny import coloured_photos, tiny

pytestmark = pytest.mark.slow

Train = Callable[..., CellResult]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot[Path]:
    return DataRoot(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def photos(root: DataRoot[Path]) -> LabelledPhotos:
    return coloured_photos(root, 240)[0]


@pytest.fixture(scope="module")
def train(root: DataRoot[Path], photos: LabelledPhotos) -> Train:
    """Trains a cell on the coloured photos."""
    prepared = tiny(root.path)

    def train_way(
        way: Way,
        size: int = 0,
        seconds: float | None = None,
        of: LabelledPhotos = photos,
        progress: Progress | None = None,
    ) -> CellResult:
        settings = CellSettings(way, size, 0, prepared.backbone, "png", 1, seconds)
        return train_cell(of, settings, prepared.weights, root, progress or NullProgress())

    return train_way


@pytest.fixture(scope="module")
def every(train: Train) -> CellResult:
    """A head of all photos."""
    return train("head")


def test_head_is_trained_on_the_drawn_photos_and_tested_on_the_test_split(
    train: Train, photos: LabelledPhotos, every: CellResult
) -> None:
    few = train("head", size=2)
    assert (every.photos, few.photos) == (int(photos.of("train").sum()), 4)
    assert every.test_photos == few.test_photos == int(photos.of("test").sum())
    assert (every.passes, few.passes) == (every.photos * 2, 8)
    assert every.correct / every.test_photos > 0.8
    assert every.seconds > 0
    assert not every.cut


@pytest.mark.parametrize("way", ["scratch", "finetune"])
def test_network_passes_its_photos_until_it_has_learned_or_its_time_is_over(train: Train, way: Way) -> None:
    whole = train(way)
    assert whole.passes == 100 * 32  # the least steps, since the photos are few
    assert whole.correct / whole.test_photos > 0.8
    assert not whole.cut
    short = train(way, seconds=0.01)
    assert short.cut
    assert 0 < short.passes < whole.passes


def test_labels_of_validation_photos_take_no_part(train: Train, photos: LabelledPhotos, every: CellResult) -> None:
    wrong = np.where(photos.of("validation"), 1 - photos.truth, photos.truth)
    assert train("head", of=replace(photos, truth=wrong)).correct == every.correct


def test_progress_counts_and_writes_no_lines(train: Train) -> None:
    progress = Tally()
    train("finetune", size=2, seconds=0.01, progress=progress)
    assert progress.done > 0
    assert progress.lines == []

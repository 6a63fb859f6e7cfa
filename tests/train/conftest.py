"""Fixtures of the tests of whole networks: a tiny backbone and photos of two colours, once a module."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.storage.layout import DataRoot
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Pictures, open_pictures
from tests.train.tiny import COUNT, DECODE, coloured_photos, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    return tiny(folder)


@pytest.fixture(scope="module")
def photos(folder: Path) -> LabelledPhotos:
    return coloured_photos(DataRoot(folder), COUNT)[0]


@pytest.fixture(scope="module")
def pictures(folder: Path, photos: LabelledPhotos) -> Iterator[Pictures]:
    with open_pictures(photos, np.ones(COUNT, bool), DECODE, DataRoot(folder)) as pictures:
        yield pictures


@pytest.fixture(scope="module")
def training(folder: Path, photos: LabelledPhotos) -> Iterator[Pictures]:
    with open_pictures(photos, photos.of("train"), DECODE, DataRoot(folder)) as pictures:
        yield pictures

"""Photos without pictures and cells without training, for the tests of a comparison."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from tasks.backbone.backbones import Backbone
from tasks.compare.settings import CellSettings, Way
from tasks.shards.manifests import Manifest
from tasks.snapshot.splits import assign_splits
from tasks.train.photos import LabelledPhotos

BACKBONE = Backbone("efficientnet_lite0", "efficientnet_lite", "0", "0" * 64, 64, ("head",), (1280,), "lite", "bicubic")


def photos_of(counts: Mapping[str, int]) -> LabelledPhotos:
    """Make photos of labels."""
    names = [label for label, count in counts.items() for _ in range(count)]
    photos = dict(sorted((hashlib.sha256(bytes([number])).hexdigest(), name) for number, name in enumerate(names)))
    labels, keys, names = tuple(sorted(counts)), list(photos), list(photos.values())
    paths = [f"{name}/{key}.jpg" for key, name in photos.items()]
    truth = np.array([labels.index(name) for name in names])
    return LabelledPhotos(keys, paths, labels, truth, assign_splits(keys, names))


def cell_of(way: Way, size: int, seed: int, correct: int, *, cut: bool = False) -> Manifest:
    """Make the manifest of a cell that predicts some of 50 test photos correctly."""
    settings, photos = CellSettings(way, size, seed, BACKBONE, "jpeg", 12, None), 5 * size or 300
    details = {"photos": photos, "correct": correct, "test_photos": 50, "seconds": 10.0 + seed, "passes": 1000}
    return Manifest(
        key=settings.key("snapshot"),
        snapshot="snapshot",
        settings=asdict(settings),
        photos=photos,
        new=1,
        reused=0,
        details={**details, "cut": cut},
        stage="compare",
        run="run",
        seconds=12.0,
    )

"""Photos that are only keys and labels, cells that were never trained, for the tests of a comparison."""

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
    """As many photos of each label as are asked for."""
    all_names = [label for label, count in counts.items() for _ in range(count)]
    pairs = sorted((hashlib.sha256(bytes([number])).hexdigest(), name) for number, name in enumerate(all_names))
    keys, names = [key for key, _ in pairs], [name for _, name in pairs]
    labels = tuple(sorted(counts))
    truth = np.array([labels.index(name) for name in names])
    return LabelledPhotos(keys, [f"{name}/{key}.jpg" for key, name in pairs], labels, truth, assign_splits(keys, names))


def cell_of(way: Way, size: int, seed: int, correct: int, **details: object) -> Manifest:
    """The manifest of a cell with so many of 50 test photos right."""
    settings = CellSettings(way, size, seed, BACKBONE, "jpeg", 12, None)
    result = {
        "photos": 5 * size or 300,
        "correct": correct,
        "test_photos": 50,
        "seconds": 10.0 + seed,
        "passes": 1000,
        "cut": False,
    }
    return Manifest(
        key=settings.key("snapshot"),
        snapshot="snapshot",
        settings=asdict(settings),
        photos=5 * size or 300,
        new=1,
        reused=0,
        details={**result, **details},
        stage="compare",
        run="run",
        seconds=12.0,
    )

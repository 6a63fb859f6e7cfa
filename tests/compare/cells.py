"""Cells without training, for the tests of a comparison."""

from dataclasses import asdict

from tasks.backbone.backbones import Backbone
from tasks.compare.settings import CellSettings, Way
from tasks.shards.manifests import Manifest

BACKBONE = Backbone("efficientnet_lite0", "efficientnet_lite", "0", "0" * 64, 64, ("head",), (1280,), "lite", "bicubic")


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

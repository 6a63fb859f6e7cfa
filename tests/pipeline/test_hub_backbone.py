"""A backbone of KerasHub through whole nights: the second one, with every export, does without KerasHub."""

from pathlib import Path

import pytest

from tests.backbone.hub_models import SIZE, save_preset
from tests.export.exported import FORMATS
from tests.pipeline.command import LITTLE, Project, assert_error, draw

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"


def test_second_night_with_all_exports_does_without_keras_hub(project: Project, tmp_path: Path) -> None:
    preset = save_preset("DINOV2Backbone", tmp_path / "preset")
    options = {"backbone": f"hub:{preset}", "image_size": str(SIZE), "layers": "auto", "export": "all", **LITTLE}
    project.retrain_forked(**options, date=FIRST).check()
    first = project.record(FIRST)
    assert set(first["export"]["test"]) == FORMATS, "no format is lacking"
    # A package of this name that cannot be imported.
    (tmp_path / "away" / "keras_hub").mkdir(parents=True)
    (tmp_path / "away" / "keras_hub" / "__init__.py").write_text("raise ImportError('it is not installed')\n")
    draw(project.photos, range(18, 21), 3)
    away = {"PYTHONPATH": str(tmp_path / "away")}
    project.retrain(away, **options, date=SECOND).check()
    assert project.new(SECOND)["bottleneck"] == 3
    assert project.record(SECOND)["head"] != first["head"]
    (network,) = project.root.glob("bottleneck/*/openvino-*.zip")
    network.unlink()
    draw(project.photos, range(21, 24), 3)
    assert_error(project.retrain(away, **options, date=THIRD), 51, "needs KerasHub", "pip install -e '.[hub]'")


def test_whole_network_is_trained_further_and_exported(project: Project, tmp_path: Path) -> None:
    preset = save_preset("ViTBackbone", tmp_path / "preset")
    options = {"backbone": f"hub:{preset}", "image_size": str(SIZE), "train": "finetune", "export": "all", **LITTLE}
    project.retrain_forked(**options, date=FIRST).check()
    record = project.record(FIRST)
    assert set(record["export"]["test"]) == FORMATS - {"model.keras"}, "Keras cannot read KerasHub's layers of ViT"

"""What a run does about exports that cannot be tested, that differ numerically, or that say something else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.export.parity import allowed_disagreements
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, Project
from tests.pipeline.first_stages import small_backbone

#: The backbone's own: what an export decodes is what the pipeline decodes, to the last bit.
SIZE = 16
LABELS = ("blue", "red")


def draw(project: Project, count: int, colour: int, noise: int, **options: Any) -> None:
    """Draw photos of two labels, one as blue and the other as red as asked, on noise of so many values."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(100, 100 + noise, (SIZE, SIZE, 3))
        pixels[..., 2 - 2 * (number % 2)] += colour
        path = project.photos / LABELS[number % 2] / f"{number:03d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path, **options)


def retrain(project: Project, backbone: Path, date: str, **options: str) -> Finished:
    """Retrain, and export the model."""
    given = {**small_backbone(backbone), "folds": "0", "shrinkage": "0.3", "export": "all", **options}
    return project.retrain_forked(date=date, **given)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "photos", tmp_path / "data")


def test_photos_that_no_export_reads_are_tested_on_and_while_they_are_away_the_run_says_what_is_not_tested(
    project: Project, tmp_path: Path
) -> None:
    draw(project, 40, 90, 50, format="WEBP", lossless=True)
    assert retrain(project, tmp_path, "2026-03-01", export="none").code == 0
    project.photos.rename(tmp_path / "away")
    away = retrain(project, tmp_path, "2026-03-02", on_missing_source="use-last")
    assert away.code == 0, away.errors
    assert "export; not tested: saved_model, model.keras, since no test photo could be read (" in away.output
    record = project.record("2026-03-02")
    assert record["export"]["test"]["saved_model"]["photos"] == 0
    assert record["export"]["test"]["model.tflite"]["agreement"] == 1.0
    assert "The export was not tested: saved_model, model.keras" in Path(record["report"]).read_text()
    card = DataRoot(project.root).export(record["head"]) / "README.md"
    assert "not tested" in card.read_text()

    (tmp_path / "away").rename(project.photos)
    back = retrain(project, tmp_path, "2026-03-03")
    assert back.code == 0, back.errors
    assert "not tested" not in back.output
    record = project.record("2026-03-03")
    tested = record["export"]["test"]["saved_model"]
    assert (tested["agreement"], tested["photos"]) == (1.0, record["export"]["converted"])
    assert "were converted to PNG" in card.read_text()
    assert project.new("2026-03-03")["export"] == tested["photos"]


def test_labels_that_are_hard_to_tell_apart_are_exported(project: Project, tmp_path: Path) -> None:
    """In int8 and in float32 the model names other labels for many photos, neither of them better."""
    draw(project, 300, 0, 8, format="PNG")
    done = retrain(project, tmp_path, "2026-03-01", precision="int8")
    assert done.code == 0, done.errors
    told = project.record("2026-03-01")["export"]
    assert told["refused"] is None
    served = told["test"]["saved_model"]
    assert served["agreement"] < 1 - allowed_disagreements(served["photos"], 0.99) / served["photos"], (
        "or there was nothing to refuse"
    )
    assert "saved_model" in told["files"]


def swapped_profile() -> bytes:
    """The profile of a colour space whose red is sRGB's blue, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped: bytes = profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
    # One of sRGB by its name is not converted.
    return swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def test_a_refused_export_leaves_a_report_and_a_record_and_ends_the_run_with_57_each_time(
    project: Project, tmp_path: Path
) -> None:
    draw(project, 60, 90, 50, format="JPEG", quality=95, icc_profile=swapped_profile())
    first = retrain(project, tmp_path, "2026-03-01")
    assert first.code == 57, first.errors
    assert "The export saved_model predicts another label than the model on " in first.errors
    assert "Convert photos with colour profiles to sRGB" in first.errors
    assert "Export          refused, nothing was exported" in first.output
    record = project.record("2026-03-01")
    assert record["export"]["refused"] in first.errors
    assert record["champion"]["verdict"] == "first"
    report = Path(record["report"]).read_text()
    assert "<b>refused</b>" in report
    assert "Convert photos with colour profiles to sRGB" in report
    folder = DataRoot(project.root).export(record["head"])
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "metrics.json"]

    for date in ("2026-03-01", "2026-03-02"):
        again = retrain(project, tmp_path, date)
        assert again.code == 57
        assert record["export"]["refused"] in again.errors
        assert project.record(date)["export"] == record["export"]
        assert project.new(date)["export"] == 0, "what was refused is not made again"
    without = retrain(project, tmp_path, "2026-03-02", export="none")
    assert without.code == 0, without.errors

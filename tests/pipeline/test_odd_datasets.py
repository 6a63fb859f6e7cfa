"""Datasets as people have them: photos that change unseen, of odd dates, in splits, in two forms of Unicode."""

import hashlib
import os
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.snapshot.hashes import HASHES
from tasks.snapshot.photos import read_snapshot
from tasks.storage.layout import DataRoot
from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.first_stages import run_of, small_backbone
from tests.snapshot.aging import recalling_new_files

ONE, TWO = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Eighteen photos of three labels."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    return project


@pytest.fixture
def quick(tmp_path: Path) -> dict[str, str]:
    """The options of a night in which it is no matter what is learned."""
    given = {**small_backbone(tmp_path), **LITTLE, "max-rejected": "0.05"}
    return {name.replace("-", "_"): value for name, value in given.items()}


def replace(photo: Path, smaller: Path) -> str:
    """Put another photo in the place of one, with the same size and mtime; returns its sha256."""
    before, other = photo.stat(), photo.with_name("other")
    # What follows a JPEG's end is no part of the picture.
    other.write_bytes(smaller.read_bytes().ljust(before.st_size, b"\0"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(photo)
    return hashlib.sha256(photo.read_bytes()).hexdigest()


def take_snapshot(project: Project, date: str) -> Manifest:
    """Take a snapshot, whose hashes are recalled on the next night."""
    task = run_of(project, date=date).take_snapshot()
    with recalling_new_files():
        task.run()
    return task.manifest()


def forge_hash(root: Path, path: str) -> None:
    """Let the known hash of a file be another one's: as where the file changed and nothing shows it."""
    (file,) = root.glob("snapshot/*/hashes.parquet")
    hashes = read_parquet(file)
    forged = pc.if_else(pc.equal(hashes["path"], path), "ab" * 32, hashes["sha256"])
    publish_parquet(file, hashes.set_column(3, HASHES.field("sha256"), forged))


def test_photos_that_changed_seen_or_unseen_are_trained_on(project: Project, quick: dict[str, str]) -> None:
    take_snapshot(project, "2026-03-01")
    smallest, *_, second, largest = sorted(project.photos.glob("daisy/*.jpg"), key=lambda path: path.stat().st_size)
    replaced = replace(largest, smallest)
    forge_hash(project.root, f"daisy/{second.name}")
    failed = project.retrain_forked(date="2026-03-02", **quick)
    assert failed.code == 52
    assert "1 of 18 photos cannot be decoded (changed 1)" in failed.errors
    assert f"daisy/{second.name}: The file was changed after the snapshot. Run again" in failed.errors
    assert "Traceback" not in failed.errors
    done = project.retrain_forked(date="2026-03-02", **quick)
    assert done.code in (0, 58), done.errors
    record = project.record("2026-03-02")
    assert record["photos"] == 18
    keys = read_snapshot(DataRoot(project.root), record["snapshot"])["sha256"].to_pylist()
    assert replaced in keys
    assert hashlib.sha256(second.read_bytes()).hexdigest() in keys


def test_splits_are_refused_with_a_sentence(project: Project) -> None:
    (project.photos / "train").mkdir()
    for label in ("daisy", "dandelion", "roses"):
        (project.photos / label).rename(project.photos / "train" / label)
    draw(project.photos / "val", range(18, 27))
    done = project.retrain(date="2026-03-01")
    assert done.code == 52
    assert f"{project.photos} is divided into the splits 'train', 'val' with the same folders in them" in done.errors
    assert f"such as {project.photos / 'train'}: it is split anew." in done.errors
    assert "Traceback" not in done.errors
    assert not list(project.root.glob("snapshot/*.parquet"))


def test_a_label_in_two_forms_of_unicode_and_photos_of_any_date_make_a_good_night(
    project: Project, quick: dict[str, str]
) -> None:
    (project.photos / "daisy").rename(project.photos / ONE)
    (project.photos / "roses").rename(project.photos / TWO)
    for photo, year in zip(sorted(project.photos.glob("*/*.jpg")), (1902, 1969, 2263, 2400), strict=False):
        os.utime(photo, ns=((year - 1970) * 31_556_952_000_000_000,) * 2)
    done = project.retrain_forked(date="2026-03-01", **quick)
    assert done.code == 0, done.errors
    assert f"Merged label    '{ONE}' is one label of 2 folders" in done.output
    record = project.record("2026-03-01")
    assert record["stages"]["snapshot"]["details"]["labels"] == {ONE: 12, "dandelion": 6}
    assert record["stages"]["snapshot"]["details"]["merged_labels"] == {ONE: [TWO, ONE]}
    predictions = read_parquet(DataRoot(project.root).evaluate(record["evaluation"]) / "predictions.parquet")
    assert set(predictions["label"].to_pylist()) == {ONE, "dandelion"}
    assert set(predictions["predicted"].to_pylist()) <= {ONE, "dandelion"}

    for photo in (project.photos / ONE).iterdir():
        photo.rename(project.photos / TWO / f"more-{photo.name}")
    (project.photos / ONE).rmdir()
    details = take_snapshot(project, "2026-03-02").details
    assert (details["label_changes"], details["merged_labels"]) == ({"new": [], "gone": []}, {})

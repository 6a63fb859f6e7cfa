"""Near duplicates in a whole run: copies of photos are found, told of, and left out of a second accuracy."""

from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tasks.evaluate.near_duplicates import FILE, read_near_duplicates
from tasks.paths import AnyPath
from tests.pipeline.command import Project

pytestmark = pytest.mark.slow

DATE = "2026-03-01"
COUNT = 150


def add_copies(photos: Path) -> dict[str, list[str]]:
    """Copy some photos, one of them to another label; returns the paths of each photo's copies by its own path."""
    first, second, third, *_ = sorted(photos.glob("*/*.jpg"))[:: COUNT // 4]
    copies = defaultdict(list)

    def save(picture: Image.Image, photo: Path, name: str, quality: int) -> None:
        picture.save(photos / name, quality=quality)
        copies[f"{photo.relative_to(photos)}"].append(name)

    with Image.open(first) as picture:
        half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
        save(half, first, f"{first.parent.name}/half.jpg", 90)
    with Image.open(second) as picture:
        save(picture, second, f"{second.parent.name}/again.jpg", 50)
        save(ImageOps.mirror(picture), second, f"{second.parent.name}/mirrored.jpg", 90)
    with Image.open(third) as picture:
        save(picture, third, f"{first.parent.name}/elsewhere.jpg", 60)
    assert third.parent != first.parent
    return copies


def paths_by_group(evaluation: AnyPath) -> list[list[str]]:
    groups = defaultdict(list)
    for row in read_near_duplicates(evaluation, COUNT).to_pylist():
        groups[row["group"]].append(row["path"])
    return [sorted(paths) for paths in groups.values()]


def test_copies_of_drawn_photos_are_found_and_the_run_says_so(tmp_path: Path) -> None:
    project = Project.drawn(tmp_path, COUNT)
    expected = [sorted([photo, *own]) for photo, own in add_copies(project.photos).items()]
    done = project.retrain(date=DATE, image_size="0", views="2", layers="auto").check()
    record = project.record(DATE)
    found = paths_by_group(project.root / "evaluate" / record["evaluation"])
    assert sorted(found) == sorted(expected)
    assert found[0] == expected[2], "of different labels"
    told = "Near duplicates 7 photos in 3 groups, 1 of them with different labels: see the report"
    assert told in done.output.splitlines()
    assert record["metrics"]["near_duplicates"] == {"groups": 3, "photos": 7, "with_different_labels": 1}
    page = Path(record["report"]).read_text()
    assert "7 photos in 3 groups, 1 of them with different labels" in page
    assert FILE in page

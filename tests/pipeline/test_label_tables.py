"""Labels from a table in runs by the real command: the head of the same labels by folders, and the next run."""

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.command import Project

pytestmark = pytest.mark.slow

DATE = "2026-03-01"


def by_table(folder: Path, photos: Path) -> tuple[Project, list[str]]:
    """The same photos in one folder, with the lines of a table of their labels and splits, a third of them test."""
    project, lines = Project(folder / "flat", folder / "data"), []
    project.photos.mkdir()
    for number, path in enumerate(sorted(photos.rglob("*.*"))):
        name = f"{path.parent.name}-{path.name}"
        (project.photos / name).write_bytes(path.read_bytes())
        lines.append(f"{name},{path.parent.name},{'test' if number % 3 == 0 else 'train'}")
    return project, lines


def by_folders(folder: Path, flat: Path, lines: list[str]) -> Project:
    project = Project(folder / "split", folder / "other")
    for line in lines:
        name, label, split = line.split(",")
        (project.photos / split / label).mkdir(parents=True, exist_ok=True)
        (project.photos / split / label / name).write_bytes((flat / name).read_bytes())
    return project


def test_a_split_by_a_table_gives_the_head_of_the_split_by_folders_and_a_changed_table_another_without_decoding(
    tmp_path: Path,
) -> None:
    table, lines = by_table(tmp_path, Project.drawn(tmp_path, 45).photos)
    folders = by_folders(tmp_path, table.photos, lines)
    file = table.photos / "metadata.csv"
    file.write_text("\n".join(["file_name,label,split", *lines, "none.jpg,x,"]))
    heads = []
    for project in (table, folders):
        done = project.retrain_forked(date=DATE)
        assert done.code == 0, done.errors
        heads.append(np.load(project.root / "train" / project.record(DATE)["head"] / "head.npz"))
        if project is table:
            assert "Label table     metadata.csv: 46 rows; 1 row without a photo, such as none.jpg" in done.output
    assert all(np.array_equal(heads[0][name], heads[1][name]) for name in heads[0].files)
    assert table.new(DATE)["decode"] == 45
    assert table.retrain_forked(date=DATE).output.startswith("Nothing to do")
    file.write_text("\n".join(["file_name,label,split", *lines[1:]]))
    after = table.retrain_forked(date="2026-03-02")
    assert after.code == 0, after.errors
    assert "metadata.csv: 44 rows; 1 photo without a row, such as " in after.output
    assert [table.new("2026-03-02")[stage] for stage in ("decode", "bottleneck")] == [0, 0]

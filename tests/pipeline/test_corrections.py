"""`--corrections`: the labels of a file in a run by the real command, and in the next one."""

from pathlib import Path

import pytest

from tests.pipeline.command import Project, assert_error, verb

pytestmark = pytest.mark.slow

DATE = "2026-03-01"


def test_corrected_photos_are_trained_with_their_new_labels_without_being_embedded_again(tmp_path: Path) -> None:
    project, file = Project.drawn(tmp_path, 30), tmp_path / "corrections.csv"
    label, other = sorted(folder.name for folder in project.photos.iterdir())[:2]
    moved, excluded = sorted((project.photos / label).iterdir())[:2]
    before = project.retrain_forked(date=DATE)
    assert before.code == 0, before.errors
    file.write_text(f"path,label\n{label}/{moved.name},{other}\n{label}/{excluded.name},\n{label}/none.jpg,{other}\n")
    next_date = {"date": "2026-03-02", "corrections": str(file)}
    after = project.retrain_forked(**next_date)
    assert after.code == 0, after.errors
    told = f"1 relabelled, 1 excluded; 1 line matches no photo, such as line 4, {label}/none.jpg"
    assert f"Corrections     {told}" in after.output.splitlines()
    assert project.record("2026-03-02")["photos"] == 29
    assert [project.new("2026-03-02")[stage] for stage in ("decode", "bottleneck")] == [0, 0]
    assert f"{file}: {told}" in Path(project.record("2026-03-02")["report"]).read_text()
    assert project.retrain_forked(**next_date).output.startswith("Nothing to do")
    audited = verb("audit", "--data-root", project.root, "--worst", 40, "--json")
    assert audited.code == 0
    assert audited.output.count(f'"{label}/{moved.name}"') == 1
    assert excluded.name not in audited.output


def test_a_file_that_is_no_corrections_ends_the_run_before_any_photo_is_decoded(tmp_path: Path) -> None:
    project, file = Project.drawn(tmp_path, 30), tmp_path / "corrections.csv"
    file.write_text("path,label\nx/1.jpg,none of these\n")
    done = project.retrain_forked(date=DATE, corrections=str(file))
    assert_error(done, 51, f"--corrections {file}, line 2: the label 'none of these' is none of the dataset's")
    assert not list(project.root.glob("decode/*"))

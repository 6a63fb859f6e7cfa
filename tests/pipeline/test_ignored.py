"""Files that are ignored, through luigi's command: named in the last lines, the record and the report."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from tasks.synthetic.composition import LABELS
from tests.pipeline.command import LITTLE, Project, draw, words
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import small_backbone
from tests.report.parsed import Page

RAW = "12 raw photos (convert to JPEG): raw/00.NEF, raw/01.NEF, raw/02.NEF and 9 more"
NO_LABEL = "raw/ has 12 files, none of them a photo that is read here (12 raw photos)"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Photos of three labels, one of raw photos, thumbnails of a NAS, and an empty data root."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    for number in range(12):
        put(project.photos / "raw" / f"{number:02}.NEF", b"II*\0")
    for photo in list(project.photos.glob("*/*.jpg")):
        put(photo.parent / "@eaDir" / photo.name / "SYNOFILE_THUMB_M.jpg", photo.read_bytes())
        put(project.photos / "#recycle" / photo.name, photo.read_bytes())
    put(project.photos / "LICENSE.txt", b"CC BY")
    return project


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_run_names_what_it_ignored_and_thumbnails_and_recycle_bins_are_no_photos(
    project: Project, tmp_path: Path
) -> None:
    told = [f"Ignored         {RAW}", f"No label        {NO_LABEL}"]
    try:
        put(project.photos / os.fsdecode(b"caf\xe9") / "a.jpg", b"")
        told.insert(0, "Ignored         1 name that is not UTF-8 (rename in UTF-8): caf\\xe9/")
    except OSError:
        pass  # a file system that takes names in UTF-8 only
    options = {**small_backbone(tmp_path), **LITTLE, "date": "2026-03-01"}
    done = project.retrain_forked(**options)
    assert done.code == 0, done.errors
    assert [line for line in done.output.splitlines() if line.startswith(("Ignored", "No label"))] == told
    record = project.record("2026-03-01")
    assert record["photos"] == 18
    assert record["ignored"].items() >= {"raw photo": 12, "system file": 4, "licence": 1}.items()
    assert record["folders_without_photos"] == {"first": {"raw": {"raw photo": 12}}, "more": 0}
    page = Page(Path(record["report"]).read_text()).text
    assert "Ignored: files that are no photos, or in formats that are not read" in page
    assert "raw photo 12 raw/00.NEF raw/01.NEF raw/02.NEF convert to JPEG" in page
    assert "raw/ 12 files: 12 raw photos" in page
    assert "#recycle/" in page

    again = project.retrain_forked(**options, log_format="json")
    (event,) = (json.loads(line) for line in again.output.splitlines())
    assert event["event"] == "nothing_to_do"
    assert event["ignored"] == record["ignored"]
    assert event["ignored_examples"]["raw photo"] == ["raw/00.NEF", "raw/01.NEF", "raw/02.NEF"]
    assert set(told) <= set(event["text"].splitlines())


def test_what_an_earlier_version_wrote_of_a_night_is_still_read(same_photos: Project) -> None:
    new = ("ignored", "ignored_examples", "folders_without_photos")
    (record,) = same_photos.root.glob(f"runs/*/{Trained.DATE}-*.json")
    (manifest,) = same_photos.root.glob(f"snapshot/*/{Trained.DATE}.json")
    for path, keep in ((record, ()), (manifest, ("ignored",))):
        values = json.loads(path.read_text())
        inner = values if path == record else values["details"]
        for name in new:
            inner.pop(name) if name not in keep else inner.update({name: {"linked folder": 2}})
        path.write_text(json.dumps(values))
    done = same_photos.retrain_forked(date=Trained.DATE)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith("Nothing to do")
    asked = ["status", *words("", same_photos.options({"date": Trained.DATE}))[4:]]
    for arguments in (asked, ["inspect", str(record)], ["inspect", str(manifest)]):
        told = CliRunner().invoke(app, arguments)
        assert (told.exit_code, told.stderr) == (0, "")


def test_a_dataset_whose_other_label_has_raw_photos_only_is_refused_by_their_name(
    project: Project, tmp_path: Path
) -> None:
    for label in LABELS[1:3]:
        for photo in (project.photos / label).glob("*.jpg"):
            photo.unlink()
    done = project.retrain_forked(**small_backbone(tmp_path), **LITTLE)
    assert done.code == 52
    assert f"Ignored: {RAW}; {NO_LABEL}." in done.errors
    assert "Traceback" not in done.errors

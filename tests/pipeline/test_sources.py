"""Where a dataset can come from: a URL that is asked again each night, a user's archive, and the drawn sample."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.download.server import FileServer, Mood, serving
from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.first_stages import retrain_here, small_backbone


def pack(folder: Path) -> bytes:
    """Pack photos in the official layout: `flower_photos/<label>/<file>`, and a licence beside the labels."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, "flower_photos")
    return buffer.getvalue()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Photos in the official layout, and an empty data root."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    (project.photos / "LICENSE.txt").write_text("CC BY")
    return project


def test_a_url_is_fetched_once_asked_again_each_night_and_fetched_again_when_it_changed(
    project: Project, tmp_path: Path
) -> None:
    small = {**small_backbone(tmp_path), **LITTLE}
    first = FileServer(pack(project.photos), etag='"one"', moods=[Mood(cut_after=20_000)])
    with serving(first) as server:
        retrain_here(project, **small, dataset=server.url, date="2026-03-01")
        assert project.new("2026-03-01")["download"] == 19
        assert project.record("2026-03-01")["photos"] == 18
        assert server.requests[1]["Range"] == "bytes=20000-"

        retrain_here(project, **small, dataset=server.url, date="2026-03-02")
        new = project.new("2026-03-02")
        assert (new["download"], new["decode"], new["bottleneck"], new["train"]) == (0, 0, 0, 0)
        assert server.requests[2]["If-None-Match"] == '"one"'

        draw(project.photos, range(18, 21))
        server.content, server.etag = pack(project.photos), '"two"'
        retrain_here(project, **small, dataset=server.url, date="2026-03-03")
        assert project.new("2026-03-03")["decode"] == 3


def test_an_archive_is_used_where_it_lies_and_extracted_again_when_it_is_replaced(
    project: Project, tmp_path: Path
) -> None:
    small = {**small_backbone(tmp_path), **LITTLE}
    archive = project.photos.parent / "mine.tgz"
    archive.write_bytes(pack(project.photos))
    retrain_here(project, **small, dataset=str(archive), date="2026-03-01")
    assert project.record("2026-03-01")["photos"] == 18
    draw(project.photos, range(18, 21))
    archive.write_bytes(pack(project.photos))
    retrain_here(project, **small, dataset=str(archive), date="2026-03-02")
    assert project.new("2026-03-02")["decode"] == 3


def test_a_server_that_is_away_is_named_with_what_to_do(project: Project) -> None:
    with serving(FileServer(b"", moods=[Mood(status=404)])) as server:
        done = project.retrain(dataset=server.url)
    assert done.code == 53
    assert server.url in done.errors
    assert "--dataset sample" in done.errors
    assert "Traceback" not in done.errors


def test_the_sample_is_drawn_in_any_number(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain_here(project, **small_backbone(tmp_path), **LITTLE, dataset="sample", sample_photos="30", date="2026-03-01")
    assert project.record("2026-03-01")["photos"] == 30
    assert "--dataset path/to/folder" in capsys.readouterr().out.splitlines()[-1]

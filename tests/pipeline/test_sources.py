"""Where a dataset can come from: a URL that is asked again each night, a user's archive, and the drawn sample."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.download.archive_files import RawName, zipped
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


def windows_zip(photos: Path, labels: Sequence[bytes]) -> bytes:
    """Pack three label folders as programs of Windows do: under names in its encoding, the last one by PowerShell."""
    files: list[tuple[RawName, bytes]] = [(RawName(b"/", 0), b"")]
    folders = sorted(path for path in photos.iterdir() if path.is_dir())
    for folder, label, separator in zip(folders, labels, (b"/", b"/", b"\\"), strict=True):
        files += [
            (RawName(label + separator + photo.name.encode(), 0), photo.read_bytes()) for photo in folder.iterdir()
        ]
    return zipped(files)


def test_labels_of_an_archive_of_windows_are_right_and_a_guess_is_told_of(tmp_path: Path) -> None:
    """With two photos a label, the run names the labels and ends before it trains."""
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(6))
    archive = tmp_path / "blumen.zip"
    labels = ["Löwenzahn".encode("cp850"), "Gänsedistel".encode("cp850"), b"Rose"]
    archive.write_bytes(windows_zip(project.photos, labels))
    done = project.retrain_forked(dataset=str(archive))
    assert done.code == 52
    assert "'Gänsedistel' (2), 'Löwenzahn' (2), 'Rose' (2)" in done.errors
    (manifest,) = project.root.glob("download/*/manifest.json")
    (note,) = json.loads(manifest.read_text())["details"]["notes"]
    assert "not in UTF-8: 4. Their encoding was guessed, as of 'Löwenzahn', 'Gänsedistel'." in note
    assert f"{archive}: {note}" in done.output


def test_a_label_in_chinese_bytes_ends_the_run_before_it_is_learned(project: Project, tmp_path: Path) -> None:
    archive = tmp_path / "flowers.zip"
    archive.write_bytes(windows_zip(project.photos, ["向日葵".encode("gbk"), b"daisy", b"roses"]))
    done = project.retrain_forked(dataset=str(archive))
    assert done.code == 53
    assert "could be '向日葵' in Chinese (GB2312)" in done.errors
    assert "Traceback" not in done.errors


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"Rar!\x1a\x07\x01\x00" + bytes(999), "zip archive but a RAR archive (version 5). Pack its folder anew"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><title>Log in</title>", "but an HTML page. Open it in a browser"),
    ],
    ids=["RAR", "HTML"],
)
def test_what_is_no_archive_is_named(project: Project, data: bytes, says: str) -> None:
    archive = project.photos.parent / "photos.zip"
    archive.write_bytes(data)
    done = project.retrain_forked(dataset=str(archive))
    assert done.code == 53
    assert says in done.errors
    assert "Traceback" not in done.errors

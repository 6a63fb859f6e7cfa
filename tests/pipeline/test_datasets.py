"""Datasets as people have them: downloads, archives, odd files and names, and photos that change unseen."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from PIL import Image

from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.snapshot.hashes import HASHES
from tasks.snapshot.photos import read_snapshot
from tasks.storage.layout import DataRoot
from tasks.synthetic.composition import LABELS
from tests.download.archive_files import RawName, zipped
from tests.pipeline.command import Project, assert_error, draw
from tests.pipeline.in_process import retrain_here, run_of
from tests.report.parsed import Page
from tests.snapshot.aging import recalling_new_files
from tests.support.servers.file_server import Fault, FileServer, serving

pytestmark = pytest.mark.slow

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
DATE, NEXT = "2026-03-01", "2026-03-02"
RAW = "12 raw photos (convert to JPEG): raw/00.NEF, raw/01.NEF, raw/02.NEF and 9 more"
NO_LABEL = "raw/ has 12 files, none of them a photo that is read here (12 raw photos)"
FLAWS = (
    "Decoded although something is wrong with the file: 3 photos (bad_checksum 1, low_values 1, no_end_marker 1), such "
    "as "
)
Options = dict[str, str]


def pack(folder: Path) -> bytes:
    """Pack photos in the official layout: `flower_photos/<label>/<file>`, and a licence beside the labels."""
    (folder / "LICENSE.txt").write_text("CC BY")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, "flower_photos")
    return buffer.getvalue()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_url_is_fetched_once_asked_again_each_run_and_fetched_again_when_it_changed(
    project: Project, small: Options
) -> None:
    first = FileServer(pack(project.photos), etag='"one"', faults=[Fault(cut_after=20_000)])
    with serving(first) as server:
        retrain_here(project, **small, dataset=server.url, date=DATE)
        assert (project.new(DATE)["download"], project.record(DATE)["photos"]) == (19, 18)
        assert server.requests[1]["Range"] == "bytes=20000-"

        retrain_here(project, **small, dataset=server.url, date=NEXT)
        assert [project.new(NEXT)[stage] for stage in ("download", "decode", "bottleneck", "train")] == [0] * 4
        assert server.requests[2]["If-None-Match"] == '"one"'

        draw(project.photos, range(18, 21))
        server.content, server.etag = pack(project.photos), '"two"'
        retrain_here(project, **small, dataset=server.url, date="2026-03-03")
        assert project.new("2026-03-03")["decode"] == 3


def test_an_archive_is_used_in_place_and_extracted_again_when_it_is_replaced(project: Project, small: Options) -> None:
    archive = project.photos.parent / "mine.tgz"
    for date, photos, new in ((DATE, range(18), 18), (NEXT, range(18, 21), 3)):
        draw(project.photos, photos)
        archive.write_bytes(pack(project.photos))
        retrain_here(project, **small, dataset=str(archive), date=date)
        assert project.new(date)["decode"] == new


def test_the_sample_is_drawn_in_any_number(
    project: Project, small: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain_here(project, **small, dataset="sample", sample_photos="30", date=DATE)
    assert project.record(DATE)["photos"] == 30
    assert "--dataset path/to/folder" in capsys.readouterr().out.splitlines()[-1]


def windows_zip(photos: Path, labels: Sequence[bytes]) -> bytes:
    """Pack three label folders as programs of Windows do: names in its encoding, the last ones by PowerShell."""
    files: list[tuple[RawName, bytes]] = [(RawName(b"/", 0), b"")]
    for folder, label, separator in zip(sorted(photos.iterdir()), labels, (b"/", b"/", b"\\"), strict=True):
        names = [(photo, RawName(label + separator + photo.name.encode(), 0)) for photo in folder.iterdir()]
        files += [(name, photo.read_bytes()) for photo, name in names]
    return zipped(files)


def test_labels_of_an_archive_of_windows_are_right_and_the_guessed_encoding_is_reported(tmp_path: Path) -> None:
    """With two photos a label, the run names the labels and ends before it trains."""
    project, archive = Project(tmp_path / "photos", tmp_path / "data"), tmp_path / "blumen.zip"
    draw(project.photos, range(6))
    labels = ["Löwenzahn".encode("cp850"), "Gänsedistel".encode("cp850"), b"Rose"]
    archive.write_bytes(windows_zip(project.photos, labels))
    done = project.retrain_forked(dataset=str(archive))
    assert_error(done, 52, "'Gänsedistel' (2), 'Löwenzahn' (2), 'Rose' (2)")
    (manifest,) = project.root.glob("download/*/manifest.json")
    (note,) = json.loads(manifest.read_text())["details"]["notes"]
    assert "not in UTF-8: 4. Their encoding was guessed, as of 'Löwenzahn', 'Gänsedistel'." in note
    assert f"{archive}: {note}" in done.output


def add_clutter(photos: Path) -> None:
    """Add a folder of raw photos, thumbnails of a NAS, a recycle bin and a licence."""
    for photo in list(photos.glob("*/*.jpg")):
        put(photo.parent / "@eaDir" / photo.name / "SYNOFILE_THUMB_M.jpg", photo.read_bytes())
        put(photos / "#recycle" / photo.name, photo.read_bytes())
    for number in range(12):
        put(photos / "raw" / f"{number:02}.NEF", b"II*\0")
    put(photos / "LICENSE.txt", b"CC BY")


def add_flaws(photos: Path) -> None:
    """Spoil one photo of each of three labels in another way, and add photos in rarer formats."""
    first, second, third = (photos / label for label in LABELS[:3])
    spoilt = min(first.glob("*.jpg"))
    spoilt.write_bytes(spoilt.read_bytes()[:-2])
    buffer = io.BytesIO()
    with Image.open(min(second.glob("*.jpg"))) as photo:
        photo.save(buffer, "PNG", dpi=(72, 72))
        photo.save(second / "pixmap.jpg", "PPM")
        photo.rotate(90).save(third / "tiles.jpg", "JPEG2000")
    data = bytearray(buffer.getvalue())
    data[data.index(b"pHYs") + 13] ^= 1
    (second / "checksum.png").write_bytes(data)
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(third / "sensor.png")


def test_ignored_files_and_flawed_photos_are_named_on_the_terminal_in_the_record_and_in_the_report(
    project: Project, small: Options
) -> None:
    add_clutter(project.photos)
    add_flaws(project.photos)
    named = [f"Ignored         {RAW}", f"No label        {NO_LABEL}"]
    try:
        put(project.photos / os.fsdecode(b"caf\xe9") / "a.jpg", b"")
        named.insert(0, "Ignored         1 name that is not UTF-8 (rename in UTF-8): caf\\xe9/")
    except OSError:
        pass  # a file system that takes names in UTF-8 only
    options = {**small, "date": DATE, "max_rejected": "0"}
    done = project.retrain_forked(**options).check()
    assert [line for line in done.output.splitlines() if line.startswith(("Ignored", "No label"))] == named
    (flaws,) = (line for line in (done.output + done.errors).splitlines() if line.startswith(FLAWS))
    assert all(name in flaws for name in ("000.jpg", "checksum.png", "sensor.png"))
    record = project.record(DATE)
    assert (record["photos"], record["rejected"]) == (22, 0)
    assert record["ignored"].items() >= {"raw photo": 12, "system file": 4, "licence": 1}.items()
    assert record["folders_without_photos"] == {"first": {"raw": {"raw photo": 12}}, "more": 0}
    report = Path(record["report"]).read_text()
    assert report.count(FLAWS) == 1
    page = Page(report).text
    assert "Ignored: files that are no photos, or in formats that are not read" in page
    assert "raw photo 12 raw/00.NEF raw/01.NEF raw/02.NEF convert to JPEG" in page
    assert "raw/ 12 files: 12 raw photos" in page
    assert "#recycle/" in page

    again = project.retrain_forked(**options, log_format="json")
    (event,) = (json.loads(line) for line in again.output.splitlines())
    assert (event["event"], event["ignored"]) == ("nothing_to_do", record["ignored"])
    assert event["ignored_examples"]["raw photo"] == ["raw/00.NEF", "raw/01.NEF", "raw/02.NEF"]
    assert set(named) <= set(event["text"].splitlines())


def test_a_dataset_whose_other_label_has_only_raw_photos_is_refused_by_their_name(project: Project) -> None:
    add_clutter(project.photos)
    for label in LABELS[1:3]:
        for photo in (project.photos / label).glob("*.jpg"):
            photo.unlink()
    assert_error(project.retrain_forked(), 52, f"Ignored: {RAW}; {NO_LABEL}.")


def replace(photo: Path, smaller: Path) -> str:
    """Replace a photo by another one of the same size and mtime; returns the new sha256."""
    before, other = photo.stat(), photo.with_name("other")
    # Bytes after the end of a JPEG do not change the picture.
    other.write_bytes(smaller.read_bytes().ljust(before.st_size, b"\0"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(photo)
    return hashlib.sha256(photo.read_bytes()).hexdigest()


def take_snapshot(project: Project, date: str) -> Manifest:
    """Take a snapshot whose hashes the next one reuses."""
    task = run_of(project, date=date).take_snapshot()
    with recalling_new_files():
        task.run()
    return task.manifest()


def forge_hash(root: Path, path: str) -> None:
    """Change the stored hash of a file, as if the file had changed and nothing showed it."""
    (file,) = root.glob("snapshot/*/hashes.parquet")
    hashes = read_parquet(file)
    forged = pc.if_else(pc.equal(hashes["path"], path), "ab" * 32, hashes["sha256"])
    publish_parquet(file, hashes.set_column(3, HASHES.field("sha256"), forged))


def test_photos_that_changed_seen_or_unseen_are_trained_on(project: Project, small: Options) -> None:
    take_snapshot(project, DATE)
    smallest, *_, second, largest = sorted(project.photos.glob("daisy/*.jpg"), key=lambda path: path.stat().st_size)
    replaced = replace(largest, smallest)
    forge_hash(project.root, f"daisy/{second.name}")
    changed = f"daisy/{second.name}: The file was changed after the snapshot. Run again"
    failed = project.retrain_forked(**small, date=NEXT)
    assert_error(failed, 52, "1 of 18 photos cannot be decoded (changed 1)", changed)
    done = project.retrain_forked(**small, date=NEXT)
    assert done.code in (0, 58), done.errors
    record = project.record(NEXT)
    assert record["photos"] == 18
    keys = read_snapshot(DataRoot(project.root), record["snapshot"])["sha256"].to_pylist()
    assert {replaced, hashlib.sha256(second.read_bytes()).hexdigest()} <= set(keys)


def test_a_label_in_two_forms_of_unicode_and_photos_of_any_date_are_trained_on(
    project: Project, small: Options
) -> None:
    (project.photos / "daisy").rename(project.photos / COMPOSED)
    (project.photos / "roses").rename(project.photos / DECOMPOSED)
    for photo, year in zip(sorted(project.photos.glob("*/*.jpg")), (1902, 1969, 2263, 2400), strict=False):
        os.utime(photo, ns=((year - 1970) * 31_556_952_000_000_000,) * 2)
    done = project.retrain_forked(**small, date=DATE).check()
    assert f"Merged label    '{COMPOSED}' is one label of 2 folders" in done.output
    record = project.record(DATE)
    details = record["stages"]["snapshot"]["details"]
    assert details["labels"] == {COMPOSED: 12, "dandelion": 6}
    assert details["merged_labels"] == {COMPOSED: [DECOMPOSED, COMPOSED]}
    predictions = read_parquet(DataRoot(project.root).evaluate(record["evaluation"]) / "predictions.parquet")
    assert set(predictions["label"].to_pylist()) == {COMPOSED, "dandelion"}
    assert set(predictions["predicted"].to_pylist()) <= {COMPOSED, "dandelion"}

    for photo in (project.photos / COMPOSED).iterdir():
        photo.rename(project.photos / DECOMPOSED / f"more-{photo.name}")
    (project.photos / COMPOSED).rmdir()
    details = take_snapshot(project, NEXT).details
    assert (details["label_changes"], details["merged_labels"]) == ({"new": [], "gone": []}, {})

"""Extraction: what is extracted, what is refused, what counts as damaged."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tasks.download.archives import extract, photos_folder
from tasks.errors import DownloadError, MachineError
from tasks.progress import NullProgress
from tasks.snapshot.ignored_names import unwanted_name
from tasks.snapshot.listing import is_photo_suffix
from tests.support.progress import Tally

FILES = {
    "flowers/daisy/1.jpg": hashlib.shake_256(b"1").digest(30_000),
    "flowers/Löwenzahn groß/2 b.jpg": hashlib.shake_256(b"2").digest(70_000),
    "flowers/LICENSE.txt": b"CC-BY",
}


def tar_of(path: Path, mode: str, members: Sequence[tarfile.TarInfo] | None = None) -> Path:
    """Write FILES, or the given members without content, as a tar."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # a mode that is not a literal
        for name, data in FILES.items() if members is None else ():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o4777
            tar.addfile(member, io.BytesIO(data))
        for member in members or ():
            tar.addfile(member)
    return path


def zip_of(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("flowers")
        for name, data in FILES.items():
            archive.writestr(name, data)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here" / "extracted"
    made.mkdir(parents=True)
    return made


FORMATS: list[tuple[str, Callable[[Path], Path]]] = [
    ("tar", lambda path: tar_of(path, "w")),
    ("gz", lambda path: tar_of(path, "w:gz")),
    ("bz2", lambda path: tar_of(path, "w:bz2")),
    ("xz", lambda path: tar_of(path, "w:xz")),
    ("zip", zip_of),
]
EVERY_FORMAT = pytest.mark.parametrize("write", [write for _, write in FORMATS], ids=[name for name, _ in FORMATS])


@EVERY_FORMAT
def test_every_format_is_recognised_by_its_content(tmp_path: Path, folder: Path, write: Callable[[Path], Path]) -> None:
    recorder = Tally()
    archive = write(tmp_path / "a-name-that-says-nothing")
    assert extract(archive, folder, recorder).files == 3
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES
    assert recorder.done == recorder.total == archive.stat().st_size
    assert recorder.unit == "B"


def test_files_get_default_permissions(tmp_path: Path, folder: Path) -> None:
    extract(tar_of(tmp_path / "archive", "w"), folder, NullProgress())
    plain = tmp_path / "plain"
    plain.touch()
    assert (folder / "flowers/LICENSE.txt").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside.jpg"),
        member("flowers/../../outside.jpg"),
        member("/outside.jpg"),
        member("../outside", tarfile.DIRTYPE),
        member("link.jpg", tarfile.SYMTYPE, "../outside.jpg"),
        member("inner.jpg", tarfile.SYMTYPE, "other.jpg"),
        member("hard.jpg", tarfile.LNKTYPE, "other.jpg"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda bad: bad.name,
)
def test_a_tar_with_a_member_that_leaves_or_is_no_file_is_refused(
    tmp_path: Path, folder: Path, bad: tarfile.TarInfo
) -> None:
    archive = tar_of(tmp_path / "bad.tgz", "w:gz", [member("good.jpg"), bad])
    with pytest.raises(DownloadError) as caught:
        extract(archive, folder, NullProgress())
    assert repr(bad.name) in str(caught.value)
    assert str(archive) in str(caught.value)
    assert [path.name for path in folder.parent.rglob("*")] == ["extracted", "good.jpg"]


@pytest.mark.parametrize(
    ("name", "kind"), [("../outside.jpg", 0o100644), ("/outside.jpg", 0), ("link.jpg", 0o120777), ("pipe", 0o010644)]
)
def test_a_zip_with_a_member_that_leaves_or_is_no_file_is_refused(
    tmp_path: Path, folder: Path, name: str, kind: int
) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        info = zipfile.ZipInfo(name)
        info.external_attr = kind << 16
        opened.writestr(info, "../target")
    with pytest.raises(DownloadError, match="was not extracted: its member"):
        extract(archive, folder, NullProgress())
    assert list(folder.parent.rglob("*")) == [folder]


def test_an_encrypted_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = zip_of(tmp_path / "archive.zip")
    data = bytearray(archive.read_bytes())
    # The flag that says "encrypted", in the last entry of the directory.
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match="encrypted"):
        extract(archive, folder, NullProgress())


@EVERY_FORMAT
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_named(tmp_path: Path, folder: Path, write: Callable[[Path], Path], kept: float) -> None:
    archive = write(tmp_path / "cut")
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DownloadError, match=r"cut is (damaged or is )?no tar .* Delete it and run again"):
        extract(archive, folder, NullProgress())


def test_a_tar_whose_last_blocks_are_missing_is_damaged(tmp_path: Path, folder: Path) -> None:
    """Python's tarfile takes the cut between two members for the end."""
    archive = tar_of(tmp_path / "cut.tar", "w")
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    archive.write_bytes(archive.read_bytes()[: last.offset])
    with pytest.raises(DownloadError, match="damaged"):
        extract(archive, folder, NullProgress())


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path, folder: Path) -> None:
    archive = tar_of(tmp_path / "bad.tar", "w")
    data = bytearray(archive.read_bytes())
    with tarfile.open(archive) as tar:
        data[tar.getmembers()[1].offset + 150] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match="header is damaged"):
        extract(archive, folder, NullProgress())


@pytest.mark.parametrize("write", [write for _, write in FORMATS[1:]], ids=[name for name, _ in FORMATS[1:]])
def test_flipped_bytes_are_found_where_the_format_has_checksums(
    tmp_path: Path, folder: Path, write: Callable[[Path], Path]
) -> None:
    archive = write(tmp_path / "flipped")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match="damaged"):
        extract(archive, folder, NullProgress())


@pytest.mark.parametrize("data", [b"<html>Not found</html>" * 100, b"", b"7z\xbc\xaf\x27\x1c" * 200, b"PK\x03\x04junk"])
def test_what_is_no_archive_is_named(tmp_path: Path, folder: Path, data: bytes) -> None:
    archive = tmp_path / "page.tgz"
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match=r"page\.tgz is (damaged or is )?no tar"):
        extract(archive, folder, NullProgress())


def test_a_target_that_cannot_be_written_is_no_damage(tmp_path: Path, folder: Path) -> None:
    (folder / "flowers").write_text("a file where a folder should be")
    with pytest.raises(MachineError, match="could not be extracted"):
        extract(tar_of(tmp_path / "archive", "w"), folder, NullProgress())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["flower_photos/daisy/1.jpg", "flower_photos/roses/2.jpg", "flower_photos/LICENSE.txt"], "flower_photos"),
        (["daisy/1.jpg", "roses/2.jpg"], "."),
        (["a/b/daisy/1.jpg", "a/b/roses/2.jpg"], "a/b"),
        (["daisy/1.jpg"], "."),
        (["flower_photos/daisy/1.jpg"], "flower_photos"),
        (["daisy/1.jpg", "daisy/more/2.jpg"], "."),
        (["flower_photos/daisy/1.jpg", "__MACOSX/flower_photos/x", ".hidden/x"], "flower_photos"),
        (["daisy/1.jpg", "empty.txt"], "."),
        ([], "."),
    ],
)
def test_the_folder_of_the_label_folders_is_found(folder: Path, files: list[str], expected: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    assert photos_folder(folder, unwanted_name, is_photo_suffix) == folder / expected


@pytest.mark.parametrize("system", ["@eaDir", "#recycle", "$RECYCLE.BIN"])
def test_a_folder_that_the_dataset_leaves_out_is_neither_a_wrapping_nor_a_label(folder: Path, system: str) -> None:
    """Which ones these are is the snapshot's to say."""
    for file in ("flowers/daisy/1.jpg", "flowers/roses/2.jpg", f"{system}/daisy/1.jpg", f"flowers/{system}/1.jpg"):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).touch()
    assert photos_folder(folder, lambda name: name == system, is_photo_suffix) == folder / "flowers"
    assert photos_folder(folder, lambda _: None, is_photo_suffix) == folder


@pytest.mark.parametrize("photo", ["1.jpg", "1.JPEG", "1.webp", "1.heic", "1.avif", "1.tif"])
def test_a_folder_with_photos_and_folders_is_a_label_whatever_the_format(folder: Path, photo: str) -> None:
    """Whatever this machine's list of MIME types knows."""
    (folder / "daisy/more").mkdir(parents=True)
    (folder / "daisy" / photo).touch()
    assert photos_folder(folder, unwanted_name, is_photo_suffix) == folder


def test_the_thumbnails_of_macos_do_not_make_a_wrapping_a_label(folder: Path) -> None:
    (folder / "flowers/daisy").mkdir(parents=True)
    (folder / "flowers/._cover.jpg").touch()
    assert photos_folder(folder, unwanted_name, is_photo_suffix) == folder / "flowers"

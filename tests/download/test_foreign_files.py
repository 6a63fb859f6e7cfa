"""Files in place of an archive are named, with a remedy."""

import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.download.foreign_files import recognise
from tests.download.archive_files import COMPRESS, GOOD, extracted, member, refusal, tar, zipped

#: The first bytes of files, and what they are.
TYPES: dict[str, bytes] = {
    "a RAR archive (version 4)": b"Rar!\x1a\x07\x00\xcf\x90\x73",
    "a RAR archive (version 5)": b"Rar!\x1a\x07\x01\x00\x33\x92",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\x00\x04",
    "a Zstandard file (.zst)": b"\x28\xb5\x2f\xfd\x04\x58",
    "an LZ4 file": b"\x04\x22\x4d\x18\x64\x40",
    "an lzip file": b"LZIP\x01\x0c",
    "an LZMA file (.lzma)": lzma.compress(b"photo", lzma.FORMAT_ALONE),
    "a file packed by compress (.Z)": b"\x1f\x9d\x90",
    "a cpio archive": b"070701004A1F",
    "an ar archive": b"!<arch>\nlib.o/",
    "a Debian package": b"!<arch>\ndebian-binary   1",
    "an ISO image": bytes(0x8001) + b"CD001\x01",
    "a Windows cabinet (.cab)": b"MSCF\0\0\0\0",
    "a Windows program, maybe an archive that extracts itself": b"MZ\x90\0\x03",
    "the first part of a split zip": b"PK\x07\x08PK\x03\x04",
    "a single photo (JPEG)": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a single photo (PNG)": b"\x89PNG\r\n\x1a\n",
    "a single photo (WebP)": b"RIFF\x24\0\0\0WEBPVP8 ",
    "a single photo (TIFF)": b"II*\0\x08\0\0\0",
    "a single photo (HEIC)": b"\0\0\0\x18ftypheic",
    "a pointer of Git LFS in place of the file": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
}
#: Pages and answers of servers.
TEXTS: dict[str, tuple[bytes, str]] = {
    "HTML": (b"<!DOCTYPE html>\n<html><title>Log in</title>", "an HTML page"),
    "HTML in capitals": (b"<HTML><HEAD>", "an HTML page"),
    "HTML after a mark and a line": (b"\xef\xbb\xbf\r\n  <!doctype html>", "an HTML page"),
    "HTML after a comment": (b"<!-- saved from url -->\n<html>", "an HTML page"),
    "XHTML": (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">', "an HTML page"),
    "HTML in UTF-16": ("<!doctype html>ü".encode("utf-16"), "an HTML page"),
    "HTML in Latin-1": ("<html>Grüße".encode("latin-1"), "an HTML page"),
    "XML": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>", "XML that begins with .*NoSuchKey"),
    "JSON": (b'{"error": "Not found"}', "JSON that begins with .*Not found"),
    "JSON after a mark": (b'\xef\xbb\xbf\n[{"error": 404}]', "JSON that begins with"),
    "text": (b"404: Not Found", "text that begins with '404: Not Found'"),
    "text that is cut within a letter": (b"x" + "ü".encode() * 2000, "text that begins with"),
}


@pytest.mark.parametrize(("name", "head"), TYPES.items(), ids=TYPES)
@pytest.mark.parametrize("rest", [b"", bytes(99_999), b"photo" * 20_000], ids=["alone", "zeros", "more"])
def test_a_file_of_another_type_is_named(tmp_path: Path, name: str, head: bytes, rest: bytes) -> None:
    text = refusal(tmp_path, head + rest)
    assert f"photos.tgz is no tar (plain, gz, bz2, xz) or zip archive but {name}. " in text


@pytest.mark.parametrize(("data", "says"), TEXTS.values(), ids=TEXTS)
def test_a_page_or_an_answer_in_place_of_an_archive_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    assert re.search(rf"zip archive but {says}.*Open it in a browser", refusal(tmp_path, data))


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
@pytest.mark.parametrize("name", ["zip", *COMPRESS])
def test_an_archive_packed_twice_is_named(tmp_path: Path, compress: Callable[[bytes], bytes], name: str) -> None:
    """As a server with Content-Encoding: gzip leaves a zip."""
    text = refusal(tmp_path, compress(GOOD[name]))
    assert ("a zip archive inside" if name == "zip" else "file inside") in text
    assert "Unpack it once" in text


@pytest.mark.parametrize(
    ("compression", "inside"), [("gz", "a gzip file"), ("bz2", "a bzip2 file"), ("xz", "an xz file")]
)
def test_a_packed_photo_or_page_is_named(tmp_path: Path, compression: str, inside: str) -> None:
    for data, name in ((b"\xff\xd8\xff" + bytes(999), "a single photo (JPEG)"), (b"<html>", "an HTML page")):
        assert f"but {name} inside {inside}. " in refusal(tmp_path, COMPRESS[compression](data))


def test_the_last_part_of_a_split_zip_is_named(tmp_path: Path) -> None:
    """It begins anywhere within a member, and its end says that it is not the first disk."""
    data = bytearray(zipped([("daisy/1.jpg", bytes(range(256)) * 40)], 0))
    end = data.rindex(b"PK\x05\x06")
    data[end + 4 : end + 8] = b"\1\0\1\0"
    assert "the last part of a split zip. Join its parts" in refusal(tmp_path, bytes(data[900:]))


@pytest.mark.parametrize("name", ["070701.jpg", "LZIP.jpg", "MZ.jpg", "<html>.jpg", "PK.jpg", "GIF8.jpg"])
def test_a_tar_is_no_other_type_by_its_first_name(tmp_path: Path, name: str) -> None:
    """Not even where it is damaged."""
    assert set(extracted(tmp_path, tar([member(name)]))[0]) == {name}
    assert "is damaged" in refusal(tmp_path, tar([member(name)])[:700])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "but an empty file. Delete it and run again"),
        (GOOD["stored"][:2000], "it may have been cut, or be one part of several"),
        *((data, "photos.tgz is damaged or is no tar") for data in (bytes(range(256)) * 9, b"photo\0" * 99)),
        *((data, "photos.tgz is damaged or is no tar") for data in (b"\x1b[2J", b"\xff\xfe\x00\xd8")),
    ],
)
def test_an_empty_a_cut_or_an_unknown_file_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in refusal(tmp_path, data)


def test_an_unreadable_file_has_no_known_type(tmp_path: Path) -> None:
    assert recognise(tmp_path / "gone") is None

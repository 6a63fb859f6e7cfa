"""Zips as ordinary programs write them: names, separators and methods."""

import re
import struct
import zipfile
import zlib
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.download.archive_files import RawName, extracted, files_below, refusal, zip_of_raw, zipped

UTF8 = ["Löwenzahn/1.jpg", "向日葵/2.jpg", "роза/3.jpg", "バラ/写真.jpg", normalize("NFD", "rosé/4.jpg")]


@pytest.mark.parametrize("system", [0, 3, 19], ids=["Windows", "Unix", "macOS"])
def test_names_in_utf8_without_its_flag_are_read(tmp_path: Path, system: int) -> None:
    """As macOS and Info-ZIP in the C locale write them; that is no guess."""
    assert extracted(tmp_path, zip_of_raw([name.encode() for name in UTF8], system)) == (
        {name: name.encode() for name in UTF8},
        [],
    )


def with_unicode_path(raw: bytes, name: bytes, about: bytes, version: int = 1) -> RawName:
    info = RawName(raw, 0)
    field = struct.pack("<BL", version, zlib.crc32(about)) + name
    # Another field stands before it.
    info.extra = struct.pack("<HHL", 0x7855, 4, 0) + struct.pack("<HH", 0x7075, len(field)) + field
    return info


def test_a_unicode_path_takes_the_place_of_a_name(tmp_path: Path) -> None:
    raw = "向日葵/1.jpg".encode("gbk")
    data = zipped([(with_unicode_path(raw, "向日葵/1.jpg".encode(), about=raw), b"1")])
    assert extracted(tmp_path, data) == ({"向日葵/1.jpg": b"1"}, [])


@pytest.mark.parametrize(
    ("name", "about", "version"),
    [(b"other/1.jpg", b"another name", 1), (b"other/1.jpg", b"daisy/1.jpg", 2), (b"\xff/1.jpg", b"daisy/1.jpg", 1)],
    ids=["of a name before", "of another version", "no UTF-8"],
)
def test_a_unicode_path_of_another_name_is_ignored(tmp_path: Path, name: bytes, about: bytes, version: int) -> None:
    data = zipped([(with_unicode_path(b"daisy/1.jpg", name, about, version), b"1")])
    assert extracted(tmp_path, data)[0] == {"daisy/1.jpg": b"1"}


def test_backslashes_of_windows_separate_folders(tmp_path: Path) -> None:
    """As PowerShell 5 writes them."""
    names = [b"photos\\", b"photos\\daisy\\1.jpg", "photos\\Löwenzahn\\2.jpg".encode(), b"photos\\empty\\"]
    files, notes = extracted(tmp_path, zip_of_raw(names))
    assert set(files) == {"photos/daisy/1.jpg", "photos/Löwenzahn/2.jpg"}
    assert notes == []
    assert (tmp_path / "extracted/photos/daisy").is_dir()


OUTSIDE = (b"..\\x.jpg", b"a\\..\\..\\x.jpg", b"\\x.jpg", b"C:\\x.jpg", b"\\\\server\\x.jpg", b"..\\")
REFUSED = [
    *((zip_of_raw([name]), "would leave the folder") for name in OUTSIDE),
    (zipped([(with_unicode_path(b"daisy/1.jpg", b"../1.jpg", b"daisy/1.jpg"), b"1")]), "'../1.jpg' would leave"),
    (zip_of_raw([b"daisy\\1.jpg"], system=3), "has a backslash"),
    (zip_of_raw([b"photos/daisy\\1.jpg"]), "has a backslash"),
    (zip_of_raw([b"daisy/1.jpg", b"daisy\\1.jpg"]), "comes twice"),
]


@pytest.mark.parametrize(("data", "says"), REFUSED)
def test_backslashes_and_unicode_paths_lead_out_no_more_than_slashes(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in refusal(tmp_path, data)
    assert set(files_below(tmp_path / "extracted")) <= {"daisy/1.jpg"}


@pytest.mark.parametrize("root", [b"/", b"./", b"//", b"\\"])
def test_an_entry_for_the_folder_of_all_is_passed_over(tmp_path: Path, root: bytes) -> None:
    """As Dropbox writes it."""
    assert set(extracted(tmp_path, zip_of_raw([root, b"daisy/1.jpg"]))[0]) == {"daisy/1.jpg"}


@pytest.mark.parametrize(
    ("method", "name"),
    [(1, "Shrink"), (6, "Implode"), (9, "Deflate64"), (93, "Zstandard"), (95, "xz"), (98, "PPMd"), (77, "unknown")],
)
def test_a_method_that_cannot_be_read_is_named(tmp_path: Path, method: int, name: str) -> None:
    data = zipped([("daisy/1.jpg", b"photo")], zipfile.ZIP_STORED)
    at = data.index(b"PK\x01\x02") + 10
    data = data[:at] + method.to_bytes(2, "little") + data[at + 2 :]
    text = refusal(tmp_path, data)
    assert re.search(rf"{name}.* \(method {method}\), which cannot be read here\. Pack the archive anew with", text)
    assert "damaged" not in text


def test_an_encrypted_member_is_named_with_its_remedy(tmp_path: Path) -> None:
    data = bytearray(zipped([("daisy/1.jpg", b"photo")]))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "'daisy/1.jpg' is encrypted. Make an archive without a password" in refusal(tmp_path, data)


@pytest.mark.parametrize("date", [0, 0xFFFF, 0b0_0000_0000_1111])
def test_no_date_of_a_member_matters(tmp_path: Path, date: int) -> None:
    """Such as day 0 of month 0, which other programs write where they know none."""
    data = bytearray(zipped([("daisy/1.jpg", b"photo")]))
    for magic, field in ((b"PK\x03\x04", 10), (b"PK\x01\x02", 12)):
        at = data.index(magic) + field
        data[at : at + 4] = struct.pack("<HH", 0xFFFF, date)
    assert extracted(tmp_path, bytes(data))[0] == {"daisy/1.jpg": b"photo"}

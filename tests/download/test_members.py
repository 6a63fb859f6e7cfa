"""Archives of hostile members: refused whole, with nothing published and what was there before as it was."""

import copy
import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tasks.download import limits
from tests.download.archive_files import EVERY_PACK, Pack, extracted, member, refusal, stage_error, tar, zipped

#: Names that lead out of the folder, that are not portable, or that are too long or deep.
BAD_NAMES = [
    *("../x.jpg", "a/../../x.jpg", "a/../x.jpg", "/x.jpg", "//x.jpg", "C:/x.jpg", "c:x.jpg"),
    *("daisy\\1.jpg", "..\\x.jpg", "\\\\server\\x.jpg"),
    *("a\nb.jpg", "Icon\r", "a\x1b[2Jb.jpg", "a\x7f.jpg", "a\x85.jpg", "./."),
    *("x" * 252 + ".jpg", "ü" * 126 + ".jpg", "/".join(["y" * 200] * 6), "a/" * 32 + "x.jpg"),
]

PAIRS = {
    "case": ("a/X.jpg", "a/x.jpg"),
    "case of a folder": ("Daisy/1.jpg", "daisy/2.jpg"),
    "case of an inner folder": ("a/Daisy/1.jpg", "a/daisy/2.jpg"),
    "composed and not": ("caf\u00e9.jpg", "cafe\u0301.jpg"),
    "composed and not, of its folder": ("caf\u00e9/1.jpg", "cafe\u0301/1.jpg"),
    "sharp s": ("stra\u00dfe.jpg", "STRASSE.jpg"),
    "Greek sigmas": ("\u03c3\u03c2.jpg", "\u03a3\u03a3.jpg"),
    "Kelvin": ("\u212a.jpg", "k.jpg"),
    "twice": ("a/x.jpg", "a/x.jpg"),
    "twice, spelt otherwise": ("a/x.jpg", "./a//x.jpg"),
    "file and folder": ("a", "a/x.jpg"),
    "folder and file": ("a/x.jpg", "a"),
    "file and folder in another case": ("A", "a/x.jpg"),
    "folder and file in another case": ("a/b/x.jpg", "a/B"),
}

KINDS = {
    "a link out": member("x", tarfile.SYMTYPE, "../../outside"),
    "a link in": member("x", tarfile.SYMTYPE, "good.jpg"),
    "a link to all": member("x", tarfile.SYMTYPE, "/"),
    "a hard link out": member("x", tarfile.LNKTYPE, "/etc/passwd"),
    "a hard link above": member("x", tarfile.LNKTYPE, "../good.jpg"),
    "a hard link to itself": member("x", tarfile.LNKTYPE, "x"),
    "a hard link to a folder": member("x", tarfile.LNKTYPE, "."),
    "a hard link to another's name in capitals": member("x", tarfile.LNKTYPE, "GOOD.jpg"),
    "a hard link named as another": member("good.jpg", tarfile.LNKTYPE, "good.jpg"),
    "a hard link out by its name": member("../x", tarfile.LNKTYPE, "good.jpg"),
    "a character device": member("x", tarfile.CHRTYPE),
    "a block device": member("x", tarfile.BLKTYPE),
    "a pipe": member("x", tarfile.FIFOTYPE),
    "a sparse file": member("x", tarfile.GNUTYPE_SPARSE),
    "a sparse file by its headers": member("x", pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
    "a sparse file by its map": member("x", pax={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"}),
    "an unknown kind": member("x", b"9"),
    "a volume": member("x", b"V"),
    "a name with a zero": member("x", pax={"path": "x\0y"}),
    "a name out by its headers": member("x", pax={"path": "../x"}),
    "a folder out": member("../x", tarfile.DIRTYPE),
    "an absolute folder": member("/x", tarfile.DIRTYPE),
    "a folder as a file before": member("good.jpg/", tarfile.DIRTYPE),
    "a negative size": member("x", pax={"size": "-1024"}),
    "a size beyond all": member("x", pax={"size": str(2**62)}),
}


def kind_of(mode: int, name: str = "x.jpg") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def sharing() -> bytes:
    """A zip with two members in the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("x.jpg", b"photo")
        opened.filelist.append(copy.copy(opened.filelist[0]))
    return buffer.getvalue()


def quoting() -> bytes:
    """A zip whose first member's bytes hold the second member, its header included."""
    inner = zipped([("b.jpg", b"photo" * 9)], zipfile.ZIP_STORED)
    inner = inner[: inner.index(b"PK\x01\x02")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("a.jpg", inner)
        second = zipfile.ZipFile(io.BytesIO(zipped([("b.jpg", b"photo" * 9)], zipfile.ZIP_STORED))).infolist()[0]
        second.header_offset = 30 + len("a.jpg")
        opened.filelist.append(second)
    return buffer.getvalue()


def patched(field: int, value: int, where: int, data: bytes = bytes(5000)) -> bytes:
    """A zip whose one member says another number of bytes: in its list (2), before the member (1), or both (3)."""
    made = bytearray(zipped([("x.jpg", data)]))
    for bit, magic, offset in ((1, b"PK\x03\x04", field), (2, b"PK\x01\x02", field + 2)):
        if where & bit:
            at = made.index(magic) + offset
            made[at : at + 4] = value.to_bytes(4, "little")
    return bytes(made)


HOSTILE: dict[str, bytes] = {
    **{f"tar, {what}": tar([member("good.jpg"), bad]) for what, bad in KINDS.items()},
    **{f"tar, name: {name!r}": tar([member("good.jpg"), member(name)]) for name in BAD_NAMES},
    **{f"gnu tar, name: {name!r}": tar([member(name)], form=tarfile.GNU_FORMAT) for name in BAD_NAMES},
    **{f"zip, name: {name!r}": zipped([("good.jpg", b""), (name, b"x")]) for name in BAD_NAMES},
    **{f"tar, pair: {what}": tar([member(one), member(other)]) for what, (one, other) in PAIRS.items()},
    **{f"zip, pair: {what}": zipped([(one, b"1"), (other, b"2")]) for what, (one, other) in PAIRS.items()},
    "zip, link": zipped([(kind_of(0o120777), b"../x")]),
    "zip, pipe": zipped([(kind_of(0o010644), b"")]),
    "zip, device": zipped([(kind_of(0o020644), b"")]),
    "zip, folder that is a link": zipped([(kind_of(0o120777, "x/"), b"")]),
    "zip, encrypted": patched(6, zipfile.ZIP_DEFLATED << 16 | 1, 2),
    "zip, name that ends at a zero": zipped([("xYjpg", b"x")]).replace(b"xYjpg", b"x\0jpg"),
    "zip, no name": zipped([("x", b"")]).replace(b"\x01\x00\x00\x00x", b"\x00\x00\x00\x00"),
    "zip, name that is no UTF-8": zipped([("ä.jpg", b"x")]).replace("ä".encode(), b"\xff\xff"),
    "zip, a surrogate": zipped([("äx.jpg", b"x")]).replace("äx".encode(), b"\xed\xa0\x80"),
    "zip, two members in the same bytes": sharing(),
    "zip, a member within another": quoting(),
    **{
        f"zip, size {value} in {where}": patched(22, value, where)
        for value in (0, 10, 4999, 5001, 10**9)
        for where in (2, 3)
    },
    **{
        f"zip, packed size {value} in {where}": patched(18, value, where) for value in (0, 3, 10**9) for where in (2, 3)
    },
    "zip, a checksum of others": patched(14, 1234, 3),
    "zip, an unknown method": patched(8, 77 << 16 | 77, 2),
    "nothing": tar([]),
    "folders only": tar([member("a", tarfile.DIRTYPE), member("b", tarfile.DIRTYPE)]),
    "zip of nothing": zipped([]),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_whole(held: Path, tmp_path: Path, data: bytes) -> None:
    refusal(tmp_path, data)
    text = stage_error(held, tmp_path, data)
    assert re.search(r"photos\.tgz (was not extracted: it|is damaged or is no tar).*\. [A-Z].*\.$", text)


@EVERY_PACK
@pytest.mark.parametrize("pair", [pair for pair in PAIRS.values() if "/" not in pair[0]], ids=str)
def test_a_collision_names_both(tmp_path: Path, pack: Pack, pair: tuple[str, str]) -> None:
    text = refusal(tmp_path, pack([(name, b"") for name in pair]))
    assert all(repr(name) in text or name.startswith("a/") for name in pair)


def test_odd_names_that_mean_one_place_are_taken(tmp_path: Path) -> None:
    names = ["./a/./x.jpg", "a//y.jpg", "...", "a/..b", ".hidden", "🌼.jpg", "a b/ c", "CON", "-rf"]
    data = tar(map(member, [*names, "x" * 255, "a/" * 31 + "z"]), form=tarfile.GNU_FORMAT)
    files, notes = extracted(tmp_path, data)
    assert (len(files), notes) == (len(names) + 2, [])


def test_a_hard_link_to_an_earlier_member_has_its_bytes(tmp_path: Path) -> None:
    photo = ("good/1.jpg", b"photo" * 99)
    links = [
        member("good/2.jpg", tarfile.LNKTYPE, "good/1.jpg"),
        member("other/3.jpg", tarfile.LNKTYPE, "./good//2.jpg"),
    ]
    files, _ = extracted(tmp_path, tar([photo, *links, ("last.jpg", b"last")]))
    assert files == {**dict.fromkeys(("good/1.jpg", "good/2.jpg", "other/3.jpg"), photo[1]), "last.jpg": b"last"}
    # A file of its own, as anywhere else.
    assert {path.stat().st_nlink for path in (tmp_path / "extracted").rglob("*.jpg")} == {1}


def test_a_hard_link_to_a_later_member_is_named(tmp_path: Path) -> None:
    text = refusal(tmp_path, tar([member("x", tarfile.LNKTYPE, "1.jpg"), ("1.jpg", b"photo")]))
    assert "'x' is a hard link to '1.jpg', and no such file comes before it" in text


def test_hard_links_count_with_the_bytes_that_they_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SMALL", 1_000_000)
    links = [member(f"{number}.jpg", tarfile.LNKTYPE, "0.jpg") for number in range(1, 100)]
    assert "taken for a bomb" in refusal(tmp_path, gzip.compress(tar([("0.jpg", bytes(100_000)), *links])))


@pytest.mark.parametrize("mtime", ["1e400", "-1e18", "nan", "99999999999999999999.5", "", "yesterday"])
def test_no_time_of_a_member_matters(tmp_path: Path, mtime: str) -> None:
    assert set(extracted(tmp_path, tar([member("1.jpg", pax={"mtime": mtime})]))[0]) == {"1.jpg"}

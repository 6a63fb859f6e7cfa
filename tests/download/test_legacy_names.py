"""Names that are not UTF-8: a Western one is guessed and reported, another is refused as a label."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.download.legacy_names import guess_western
from tests.download.archive_files import extracted, member, refusal, tar, zip_of_raw

WESTERN = [
    *("Löwenzahn", "größe 1", "süß", "Äpfel", "GRÖSSE", "été", "crème brûlée", "tarte à la crème", "café"),
    *("œillet", "maçã", "São João", "piñón", "blåbær", "rød"),
]
OTHER = {
    "gbk": ["向日葵", "玫瑰", "狗", "苹果 2", "rose 玫瑰"],
    "big5": ["玫瑰", "向日葵", "貓"],
    "cp932": ["ひまわり", "バラ", "菊", "桜", "ネコ", "アイス", "ソフト", "写真1"],
    "euc_kr": ["장미", "고양이", "개"],
    "cp866": ["роза", "мак", "кошка"],
    "cp1251": ["роза", "мак", "Роза"],
    "koi8-r": ["роза", "мак"],
    "cp1253": ["γάτα"],
    "cp1255": ["חתול"],
}
OTHERS = [(name, encoding) for encoding, names in OTHER.items() for name in names]


@pytest.mark.parametrize("name", WESTERN)
def test_a_western_name_is_read_right_or_not_at_all(name: str) -> None:
    unix = None if name in {"süß", "maçã"} else name
    assert guess_western(name.encode("cp1252"), oem=False) == unix
    # DOS had no œ.
    assert name == "œillet" or guess_western(name.encode("cp850"), oem=True) == name


@pytest.mark.parametrize(("name", "encoding"), OTHERS)
def test_a_label_in_another_encoding_is_refused(tmp_path: Path, name: str, encoding: str) -> None:
    raw = name.encode(encoding)
    assert [guess_western(raw, oem) for oem in (True, False)] == [None, None]
    text = refusal(tmp_path, zip_of_raw([b"daisy/1.jpg", raw + b"/1.jpg"]))
    assert re.search(r"not in UTF-8.*a wrong label must not be learned\. Pack the archive anew", text)


def undecoded(raw: bytes) -> tarfile.TarInfo:
    """A member of a tar whose name is not in UTF-8."""
    info = member("?")
    info.name = raw.decode("utf-8", "surrogateescape")
    return info


@pytest.mark.parametrize("pack", [lambda raw: zip_of_raw([raw]), lambda raw: tar([undecoded(raw)])], ids=["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "encoding", "says"),
    [
        ("向日葵", "gbk", "'向日葵' in Chinese (GB2312)"),
        ("バラ", "cp932", "'バラ' in Japanese (Shift-JIS)"),
        ("роза", "cp866", "'роза' in Cyrillic (cp866)"),
    ],
)
def test_the_refusal_lists_possible_readings_of_the_name(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str, encoding: str, says: str
) -> None:
    assert says in refusal(tmp_path, pack(name.encode(encoding) + b"/1.jpg"))


@pytest.mark.parametrize(("system", "encoding"), [(0, "cp850"), (11, "cp850"), (3, "cp1252"), (0, "cp1252")])
def test_a_guessed_label_is_reported(tmp_path: Path, system: int, encoding: str) -> None:
    names = ["Löwenzahn/1.jpg", "Löwenzahn/größe.jpg", "daisy/1.jpg"]
    files, notes = extracted(tmp_path, zip_of_raw([name.encode(encoding) for name in names], system))
    assert set(files) == set(names)
    assert len(notes) == 1
    assert "not in UTF-8: 2. Their encoding was guessed, as of 'Löwenzahn'. If that is wrong, pack" in notes[0]


def test_files_with_undecodable_names_are_kept_apart_and_reported(tmp_path: Path) -> None:
    """Only a folder's name is a label."""
    names = [name.encode("gbk") for name in ("daisy/玫瑰.jpg", "daisy/百合.jpg", "daisy/狗.jpg")]
    files, notes = extracted(tmp_path, zip_of_raw(names))
    assert sorted(files.values()) == sorted(names)
    assert {name.partition("/")[0] for name in files} == {"daisy"}
    assert "not in UTF-8: 3." in notes[0]


def test_a_backslash_that_may_be_half_a_letter_is_no_separator(tmp_path: Path) -> None:
    name = "表.jpg".encode("cp932")
    assert b"\\" in name
    assert "'表.jpg' in Japanese" in refusal(tmp_path, zip_of_raw([name]))


def test_a_tar_is_read_as_a_zip_of_unix_is(tmp_path: Path) -> None:
    files, notes = extracted(tmp_path, tar([member("Löwe/1.jpg"), undecoded(b"daisy/L\xf6wenzahn.jpg")]))
    assert set(files) == {"Löwe/1.jpg", "daisy/Löwenzahn.jpg"}
    assert "not in UTF-8: 1." in notes[0]

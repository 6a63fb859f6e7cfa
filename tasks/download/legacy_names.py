"""Decodes names in an archive that are not UTF-8: by a guess where it is safe, else an error lists the candidates."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from unicodedata import category

from tasks.download.limits import ArchiveRejectedError

#: Encodings of Western names: of Windows and DOS, as zip programs there write them, and of Unix and Windows.
_OEM, _ANSI = "cp850", "cp1252"
#: Encodings in which one letter takes two bytes. Nearly all text decodes in some Western one too, as other letters.
_DOUBLE_BYTE = {
    "Chinese (GB2312)": "gb2312",
    "Chinese (Big5)": "big5",
    "Japanese (Shift-JIS)": "cp932",
    "Korean (EUC-KR)": "euc_kr",
}
_SINGLE_BYTE = {"Cyrillic (cp866)": "cp866", "Cyrillic (cp1251)": "cp1251", f"Western ({_OEM})": _OEM}
#: Names that are given as examples.
_EXAMPLES = 9
_PACK_AS_UTF8 = (
    "pack the archive anew with names in UTF-8 (7-Zip: -mcu=on), or extract it with a program that can be told the "
    "encoding (unar -e, 7z -mcp), and give the folder to --dataset"
)
_WORD = re.compile(r"[^\W\d_]+")


class NameDecoder:
    """Decodes the names of an archive, and counts the guesses."""

    def __init__(self) -> None:
        self._guessed = 0
        # As examples; those of folders matter most, as labels.
        self._folders: dict[str, None] = {}
        self._files: dict[str, None] = {}

    def decode(self, raw: bytes, *, oem: bool) -> str:
        """Decode a `/`-separated name whose encoding the archive does not state: as UTF-8, or else by a guess.

        `oem` names come from Windows or DOS, whose encoding is tried first; for others that of Unix is.

        Raises:
            ArchiveRejectedError: The name of a folder, which may become a label, has no safe guess.
        """
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._guessed += 1
        *folders, file = raw.split(b"/")
        return "/".join([*(self._part(part, oem, self._folders) for part in folders), self._part(file, oem)])

    def note(self) -> str | None:
        """Return a note for the user on the guessed names, in sentences; None if there are none."""
        if not self._guessed:
            return None
        return (
            f"Names that are not in UTF-8: {self._guessed:,}. Their encoding was guessed, as of "
            f"{join_examples(self._folders or self._files)}. If that is wrong, {_PACK_AS_UTF8}."
        )

    def _part(self, part: bytes, oem: bool, folders: dict[str, None] | None = None) -> str:
        """Decode the name of a file, or of a folder if `folders` is given.

        A file's name is no label: where no guess is safe, it only has to differ from all others.
        """
        text = _guess(part, oem)
        if text is None and (folders is not None or b"\\" in part):
            raise _unreadable(part)
        decoded = part.decode(_OEM) if text is None else text
        examples = self._files if folders is None else folders
        if not part.isascii() and len(examples) < _EXAMPLES:
            examples[decoded] = None
        return decoded


def join_examples(names: Iterable[str]) -> str:
    """Format the first of some names: 'a', 'b', 'c'."""
    return ", ".join(repr(name[:80]) for name in islice(names, _EXAMPLES))


def _guess(part: bytes, oem: bool) -> str | None:
    """Guess the name of a file or folder; None where any guess could be wrong."""
    if part.isascii():
        return part.decode()
    # On Unix each part may come from elsewhere; elsewhere the whole name is in one encoding, and it is not UTF-8.
    if not oem and (text := _decode(part, "utf-8")) is not None:
        return text
    # A backslash may be half a letter.
    return None if b"\\" in part else guess_western(part, oem)


@lru_cache(maxsize=1 << 12)
def guess_western(raw: bytes, oem: bool) -> str | None:
    """Decode the name of one file or folder as a Western one; None where it can be mistaken for another.

    A name is taken for Western where each letter beyond ASCII is a letter that stands as letters do, and no word has as
    many of them as ASCII letters, unless the name makes no sense in any encoding of Chinese, Japanese or Korean.
    """
    for encoding in (_OEM, _ANSI) if oem else (_ANSI, _OEM):
        text = _decode(raw, encoding)
        if text is not None and _is_spelt_well(text) and (_is_mostly_ascii(text) or not _has_double_bytes(raw)):
            return text
    return None


def _unreadable(raw: bytes) -> ArchiveRejectedError:
    decoded = {name: _decode(raw, encoding) for name, encoding in {**_DOUBLE_BYTE, **_SINGLE_BYTE}.items()}
    readings = [f"{text!r} in {name}" for name, text in decoded.items() if text is not None and _is_plausible(text)]
    could_be = f"could be {' or '.join(readings)}" if readings else "are in no encoding that is known here"
    return ArchiveRejectedError(
        f"its member {repr(raw[:200])[1:]} has a name that is not in UTF-8, and the bytes "
        f"{could_be}; a wrong label must not be learned",
        _PACK_AS_UTF8[0].upper() + _PACK_AS_UTF8[1:],
    )


def _decode(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_spelt_well(text: str) -> bool:
    """Whether letters beyond ASCII stand alone, or in words that have ASCII letters too."""
    foreign_words = (word for word in _WORD.findall(text) if len(word) > 1 and not any(map(str.isascii, word)))
    return _is_plausible(text) and not any(foreign_words)


def _is_mostly_ascii(text: str) -> bool:
    return all(
        2 * sum(not letter.isascii() for letter in word) < len(word) or word.isascii() for word in _WORD.findall(text)
    )


def _has_double_bytes(raw: bytes) -> bool:
    return any((text := _decode(raw, encoding)) and _has_letters_only(text) for encoding in _DOUBLE_BYTE.values())


def _is_plausible(text: str) -> bool:
    """Whether all characters beyond ASCII are letters, and capitals among them begin a word or fill it."""
    return _has_letters_only(text) and not any(
        not word.isupper() and any(letter.isupper() and not letter.isascii() for letter in word[1:])
        for word in _WORD.findall(text)
    )


def _has_letters_only(text: str) -> bool:
    """Whether all characters beyond ASCII are letters, but not ª and º, as which Cyrillic is often misread."""
    return all(sign.isascii() or (category(sign)[0] == "L" and sign not in "ªº") for sign in text)

"""What a zip says of a member beside its bytes: its name, whatever the program that wrote it, and how it is packed."""

import struct
import zipfile
import zlib

from tasks.download.legacy_names import NameDecoder
from tasks.download.limits import ArchiveRejectedError

_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11
#: `create_system` of DOS and Windows, and of all systems whose programs write names in the encoding of DOS.
_FAT, _OEM = 0, frozenset({0, 6, 10, 11, 14})  # FAT, HPFS, NTFS by PKWARE and by Info-ZIP, VFAT
#: Tag of the extra field that has a name in UTF-8 (Info-ZIP Unicode Path).
_UNICODE_PATH = 0x7075
_READ = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
#: APPNOTE.TXT of PKWARE, 4.4.5.
_METHODS = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE DCL Implode",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    95: "xz",
    96: "a JPEG variant",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}


def name_of(member: zipfile.ZipInfo, decoder: NameDecoder) -> str:
    """The name of a member, `/`-separated.

    Without the flag of UTF-8, zipfile takes any name for cp437. In truth it is UTF-8 where macOS or Info-ZIP wrote it,
    and otherwise in whatever encoding that machine had.

    Args:
        member: The member, as zipfile tells of it.
        decoder: Decodes names without the flag.

    Raises:
        Refused: See `NameDecoder.decode`.
    """
    # Its name ends at a zero for zipfile, but not for every program: there it is refused, as a control character.
    name = member.orig_filename
    if not member.flag_bits & _UTF8:
        raw = name.encode("cp437")
        name = _unicode_path(member.extra, raw) or decoder.decode(raw, oem=member.create_system in _OEM)
    # As unzip does: the .NET Framework, and so PowerShell 5, writes Windows' separator, and then no other.
    return name.replace("\\", "/") if member.create_system == _FAT and "/" not in name else name


def name_length(member: zipfile.ZipInfo) -> int:
    """How many bytes a member's name has in its header."""
    return len(member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437"))


def check_method(name: str, member: zipfile.ZipInfo) -> None:
    """Check that a member is packed in a way that can be read.

    Raises:
        Refused: It is encrypted, or packed by another method.
    """
    if member.flag_bits & _ENCRYPTED:
        raise ArchiveRejectedError(
            f"its member {name!r} is encrypted",
            "Make an archive without a password, or extract it yourself and give the folder to --dataset",
        )
    if member.compress_type not in _READ:
        method = _METHODS.get(member.compress_type, "an unknown method")
        raise ArchiveRejectedError(
            f"its member {name!r} is packed by {method} (method {member.compress_type}), which cannot be read here",
            "Pack the archive anew with Deflate (7-Zip: -mm=Deflate) or as .tar.gz, or extract it yourself and give "
            "the folder to --dataset",
        )


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in UTF-8 that stands beside another, where it is about that one."""
    # zipfile has checked that the fields are whole.
    while len(extra) >= 4:
        tag, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if tag == _UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            try:
                return field[5:].decode()
            except UnicodeDecodeError:
                return None
    return None

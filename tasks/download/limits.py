"""How much is let in: what strangers send must fill neither the disk nor the memory."""

import shutil
from pathlib import Path

#: Files and folders of an archive.
MAX_FILES = 1_000_000
#: Bytes of a file that is fetched, and of all that an archive unpacks to.
MAX_BYTES = 500 * 10**9
#: How many times the bytes that were read of it an archive may unpack to. Photos hardly shrink; a bomb of zeros shrinks
#: a thousandfold.
MAX_RATIO = 100
#: Bytes that an archive may unpack to whatever the ratio.
SMALL = 100 * 10**6


_EXTRACT_YOURSELF = (
    "Make an archive of plain files and folders only, or extract it yourself where you trust it, and give the folder "
    "to --dataset"
)


class ArchiveRejectedError(Exception):
    """An archive is not let in.

    Args:
        why: Follows "was not extracted: ".
        remedy: What to do, as a sentence without its full stop.
    """

    def __init__(self, why: str, remedy: str = _EXTRACT_YOURSELF) -> None:
        super().__init__(why)
        self.remedy = remedy


class DiskFullError(Exception):
    """More bytes than the disk has room for."""


class ExtractionLimit:
    """What an archive may still unpack to: bytes are counted as they come, not as they are promised.

    Args:
        room: Bytes that the disk has room for; None where nothing is written.
    """

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._unpacked = 0

    def spend(self, count: int, read: int) -> None:
        """Count bytes before they are written.

        Args:
            count: How many more there are.
            read: How many bytes of the archive they and all before them come from.

        Raises:
            Refused: They are too many, or too many for so small an archive.
            NoRoom: They are more than the disk has room for.
        """
        self._unpacked += count
        if self._unpacked > MAX_BYTES:
            raise ArchiveRejectedError(f"it unpacks to more than {megabytes(MAX_BYTES)}, the most that is extracted")
        if self._unpacked > max(SMALL, MAX_RATIO * read):
            raise ArchiveRejectedError(
                f"its first {read:,} bytes unpack to more than {megabytes(self._unpacked)}, and more than {MAX_RATIO} "
                "times its size is taken for a bomb"
            )
        if self._room is not None and self._unpacked > self._room:
            raise DiskFullError


def room_on_disk(folder: Path) -> int:
    """How many bytes may be written to a folder's disk: what is free, but for a twentieth of the disk, at most 1 GB."""
    usage = shutil.disk_usage(folder)
    return max(0, usage.free - min(10**9, usage.total // 20))


def megabytes(count: int) -> str:
    """A number of bytes for people: "1,234.5 MB"."""
    return f"{count / 1e6:,.1f} MB"

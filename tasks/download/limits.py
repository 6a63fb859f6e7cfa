"""Limits on archives and downloads, so that neither fills the disk or the memory."""

import errno
import shutil
from pathlib import Path

#: Files and folders of an archive.
MAX_FILES = 1_000_000
#: Bytes of a file that is fetched, and of all that an archive unpacks to.
MAX_BYTES = 500 * 10**9
#: Unpacked bytes for each byte of the archive. Photos hardly shrink; a bomb of zeros shrinks a thousandfold.
MAX_RATIO = 100
#: Bytes that an archive may unpack to whatever the ratio.
SMALL = 100 * 10**6

_EXTRACT_YOURSELF = (
    "Make an archive of plain files and folders only, or extract it yourself where you trust it, and give the folder "
    "to --dataset"
)


class ArchiveRejectedError(Exception):
    """An archive may not be extracted; the reason follows "was not extracted: ", the remedy is a sentence."""

    def __init__(self, reason: str, remedy: str = _EXTRACT_YOURSELF) -> None:
        super().__init__(reason)
        self.remedy = remedy


class ExtractionLimit:
    """Limits the bytes that an archive unpacks to; they are counted as they come, not as the archive declares them.

    Args:
        free: Bytes that may be written; None where nothing is written.
    """

    def __init__(self, free: int | None = None) -> None:
        self._free = free
        self._unpacked = 0

    def spend(self, count: int, read: int) -> None:
        """Count unpacked bytes before they are written.

        Args:
            count: Number of bytes that were unpacked since the last call.
            read: Number of bytes of the archive that were read so far.

        Raises:
            ArchiveRejectedError: The bytes are too many, or too many for so small an archive.
            OSError: The disk has no room for them.
        """
        self._unpacked += count
        if self._unpacked > MAX_BYTES:
            raise ArchiveRejectedError(f"it unpacks to more than {megabytes(MAX_BYTES)}, the most that is extracted")
        if self._unpacked > max(SMALL, MAX_RATIO * read):
            raise ArchiveRejectedError(
                f"its first {read:,} bytes unpack to more than {megabytes(self._unpacked)}, and more than {MAX_RATIO} "
                "times its size is taken for a bomb"
            )
        if self._free is not None and self._unpacked > self._free:
            raise OSError(errno.ENOSPC, "it unpacks to more than the disk has room for")


def writable_bytes(folder: Path) -> int:
    """Return how many bytes may be written to a folder's disk; a twentieth of it, at most 1 GB, stays free."""
    usage = shutil.disk_usage(folder)
    return max(0, usage.free - min(10**9, usage.total // 20))


def megabytes(count: int) -> str:
    """Format a number of bytes, as in "1,234.5 MB"."""
    return f"{count / 1e6:,.1f} MB"

"""Answers about everything below a folder; those of an object store come from one listing (`ListedSurvey`)."""

import os
from dataclasses import dataclass
from pathlib import Path

from tasks.paths import AnyPath


@dataclass(frozen=True)
class DiskUsage:
    """Disk space that files take."""

    files: int  #: Number of files; a link counts as one.
    bytes: int  #: Their size.

    def __add__(self, other: "DiskUsage") -> "DiskUsage":
        return DiskUsage(self.files + other.files, self.bytes + other.bytes)


class Survey:
    """Looks at a folder of this machine whenever it is asked."""

    def entries(self, folder: AnyPath) -> list[AnyPath]:
        """List a folder in the order of names; empty if the folder is missing."""
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def is_folder(self, path: AnyPath) -> bool:
        """Whether a folder exists."""
        return path.is_dir()

    def is_file(self, path: AnyPath) -> bool:
        """Whether a file exists."""
        return path.is_file()

    def is_link(self, path: AnyPath) -> bool:
        """Whether a path is a symbolic link."""
        return path.is_symlink()

    def named(self, folder: AnyPath, pattern: str) -> list[AnyPath]:
        """Files and folders at any depth below a folder whose name matches, in the order of their paths."""
        return sorted(folder.rglob(pattern))

    def measure(self, path: AnyPath) -> DiskUsage:
        """Measure a file or folder; zero if it is missing. Links are not followed."""
        if path.is_symlink() or not path.is_dir():
            try:
                return DiskUsage(1, path.lstat().st_size)
            except OSError:
                return DiskUsage(0, 0)
        sizes = (self.measure(Path(folder, name)) for folder, _, names in os.walk(f"{path}") for name in names)
        return sum(sizes, DiskUsage(0, 0))

    def modified(self, path: AnyPath) -> float:
        """Time of the last write to a file, in seconds since 1970."""
        return path.stat().st_mtime

"""Copies pages of an object store to this machine, with the pages that they link to, for a browser."""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tasks.paths import AnyPath
from tasks.storage.files import publish_bytes, read_bytes, read_each
from tasks.storage.layout import DataRoot
from tasks.storage.survey import Survey

#: A link to a report, in the report of another run or in the index.
_LINK = re.compile(r'href="(?:\.\./\.\./)?(report/[\w-]+/report\.html)"')


class PageCopies:
    """Copies of the index and of reports of a data root on an object store, laid out as they are there.

    Args:
        root: The data root.
    """

    def __init__(self, root: DataRoot) -> None:
        self._root, self._folder = root, root.storage.staging_for(root.path)

    def copy(self, page: AnyPath) -> Path:
        """Copy a page.

        Raises:
            FileNotFoundError: There is no such page.
        """
        target = self._place(page)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        publish_bytes(target, read_bytes(page))
        return target

    def follow(self, page: AnyPath) -> None:
        """Copy the pages that a copied page and the index link to and that are not here yet, and remove all others."""
        index, there = self._root.index(), self._root.storage.survey(self._root.below("report"))
        read = [self._place(page)]
        if page != index:
            with suppress(FileNotFoundError):
                read.append(self.copy(index))
        links = {link for copy in read for link in _LINK.findall(copy.read_text(encoding="utf-8"))}
        reports = [report for link in sorted(links) if there.is_file(report := self._root.path / link)]
        self._remove_others([page, *reports])
        new = [report for report in reports if report != page and not self._is_current(report, there)]
        for report, copy in zip(new, read_each(self.copy, new, self._root.path), strict=True):
            os.utime(copy, ns=2 * (_nanoseconds(there.modified(report)),))

    def _place(self, page: AnyPath) -> Path:
        return self._folder / str(page).removeprefix(f"{self._root.path}".rstrip("/") + "/")

    def _is_current(self, report: AnyPath, there: Survey) -> bool:
        try:
            status = self._place(report).stat()
        except FileNotFoundError:
            return False
        written = _nanoseconds(there.modified(report))
        return (status.st_size, status.st_mtime_ns) == (there.measure(report).bytes, written)

    def _remove_others(self, pages: Iterable[AnyPath]) -> None:
        kept = {self._place(page).parent for page in pages}
        for folder in (self._folder / "report").glob("*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1000) * 10**6

"""Archives for tests: good ones of every format, and helpers that extract them."""

import bz2
import datetime as dt
import gzip
import hashlib
import io
import lzma
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tasks.catalog import Dataset, find_dataset
from tasks.download.archives import extract, verify
from tasks.download.task import FetchDataset
from tasks.errors import DownloadError
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.run_context import RunContext
from tasks.snapshot.task import TakeSnapshot

FILES = {
    "flowers/daisy/1.jpg": hashlib.shake_256(b"1").digest(900),
    "flowers/Löwenzahn groß/2 b.jpg": hashlib.shake_256(b"2").digest(1700),
    f"flowers/{'long' * 30}/LICENSE.txt": b"CC-BY",
}


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", pax: Mapping[str, str] | None = None
) -> tarfile.TarInfo:
    """A member of a tar without content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, target, dict(pax or {})
    return info


def tar(
    members: Iterable[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w", form: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar of members without content, and of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as opened:  # type: ignore[call-overload]  # no literal
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                opened.addfile(each)
                continue
            info = tarfile.TarInfo(each[0])
            info.size, info.mode, info.uid, info.gid, info.mtime = len(each[1]), 0o6777, 4242, 4242, 1
            opened.addfile(info, io.BytesIO(each[1]))
    return buffer.getvalue()


def zipped(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name that comes twice
        for name, data in members:
            opened.writestr(name, data)
    return buffer.getvalue()


class RawName(zipfile.ZipInfo):
    """A member of a zip whose name is written byte by byte, without the flag of UTF-8 unless it is set here.

    Args:
        raw: The bytes.
        system: `create_system`: 0 is DOS and Windows, 3 Unix.
    """

    def __init__(self, raw: bytes, system: int) -> None:
        super().__init__(raw.decode("latin-1").replace("\0", "_"))
        self.raw, self.create_system = raw, system

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's)
        return self.raw, self.flag_bits


Pack = Callable[[Iterable[tuple[str, bytes]]], bytes]
#: How to pack names and bytes, or to compress bytes, by format.
PACK: Mapping[str, Pack] = {"tar": tar, "zip": zipped}
EVERY_PACK = pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zip_of_raw(names: Iterable[bytes], system: int = 0) -> bytes:
    """A zip of files whose content is their name."""
    return zipped([(RawName(name, system), b"" if name.endswith((b"/", b"\\")) else name) for name in names])


#: Archives of FILES by format.
GOOD: Mapping[str, bytes] = {
    "tar": tar(FILES.items()),
    "gnu": tar(FILES.items(), form=tarfile.GNU_FORMAT),
    "gz": tar(FILES.items(), "w:gz"),
    "bz2": tar(FILES.items(), "w:bz2"),
    "xz": tar(FILES.items(), "w:xz"),
    "zip": zipped(FILES.items()),
    "stored": zipped(FILES.items(), zipfile.ZIP_STORED),
    "zip of bz2": zipped(FILES.items(), zipfile.ZIP_BZIP2),
    "zip of xz": zipped(FILES.items(), zipfile.ZIP_LZMA),
}


def files_below(folder: Path) -> dict[str, bytes]:
    """All files with their bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def extracted(folder: Path, data: bytes | bytearray) -> tuple[dict[str, bytes], list[str]]:
    """The files that are extracted from an archive, and the notes on their names."""
    archive, target = folder / "photos.tgz", folder / "extracted"
    archive.write_bytes(data)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    notes = extract(archive, target, NullProgress()).notes
    return files_below(target), notes


def refusal(folder: Path, data: bytes | bytearray) -> str:
    """The error of an archive that is not extracted; a URL that has it gets one too."""
    with pytest.raises(DownloadError) as caught:
        extracted(folder, data)
    with pytest.raises(DownloadError, match=r"^https://host/photos\.tgz .*; what was fetched before is kept\.$"):
        verify(folder / "photos.tgz", "https://host/photos.tgz")
    return str(caught.value)


def take(root: Path, archive: Path) -> None:
    """Run the stage that extracts an archive."""
    dataset = Dataset("photos", "archive", str(archive))
    FetchDataset(context=RunContext(data_root=str(root)), dataset=dataset, date=dt.date(2024, 1, 1)).run()


def stage_error(root: Path, folder: Path, data: bytes, kind: type[Exception] = DownloadError) -> str:
    """The error of the stage for an archive; it publishes nothing, and leaves what was there."""
    archive, before = folder / "photos.tgz", files_below(root)
    archive.write_bytes(data)
    with pytest.raises(kind) as caught:
        take(root, archive)
    assert files_below(root) == before
    assert not list(root.rglob(".tmp-*"))
    return str(caught.value)


def take_snapshot(root: AnyPath, given: str, date: dt.date, on_missing_source: str = "fail") -> TakeSnapshot:
    """Fetch and take a snapshot, as a start of the program of its own; `given` may be an archive that was there."""
    gone = "://" not in given and given != "sample" and not Path(given).exists()
    if gone:
        Path(given).touch()
    dataset = find_dataset(given, 15)
    if gone:
        Path(given).unlink()
    run = f"{date}-{on_missing_source}"
    task = TakeSnapshot(
        context=RunContext(data_root=str(root), run_id=run),
        dataset=dataset,
        date=date,
        on_missing_source=on_missing_source,
    )
    download = task.requires()
    if download is not None and not download.complete():
        download.run()
        assert download.complete()
    task.run()
    return task


def download_of(task: TakeSnapshot) -> FetchDataset:
    """The download that a snapshot is taken of."""
    download = task.requires()
    assert download is not None
    return download

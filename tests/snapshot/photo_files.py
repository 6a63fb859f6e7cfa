"""Files of photos for the tests of listings and snapshots; most of them hold no picture."""

import os
from collections.abc import Mapping
from pathlib import Path

from tasks.paths import AnyPath, is_remote


def put(folder: AnyPath, files: Mapping[str, bytes]) -> AnyPath:
    """Put files below a folder, local or on an object store; returns the folder."""
    if is_remote(folder):
        folder.fs.pipe({f"{folder.path}/{path}": data for path, data in files.items()})
        return folder
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def put_numbered(folder: AnyPath, label: str, numbers: range) -> AnyPath:
    """Put photos of a label, each with content of its own."""
    return put(folder, {f"{label}/{number}.jpg": f"{label} {number}".encode() for number in numbers})


def make_too_deep(folder: Path) -> None:
    """Make a folder below an existing one that is too deep to be read, also by root."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)

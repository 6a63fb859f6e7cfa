"""Path that a file is fetched to: on this machine, as partial transfers and locks need a disk.

For a data root on an object store, its folder stays from run to run, so that a transfer that broke off is resumed. The
state and the pinned hash of a file are on the store, where every machine finds them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.download.fetch import state_path
from tasks.download.pinned_hash import pin_path
from tasks.paths import AnyPath
from tasks.storage.files import publish_bytes, read_bytes, storage_at, sweep


@contextmanager
def staged(home: AnyPath, name: str) -> Iterator[Path]:
    """Yield the path on this machine for a file of a folder of the data root.

    Its state and its pin are copied from an object store, and back to it if the block changes them.
    """
    file = storage_at(home).staging_for(home) / name
    if file.parent == home:
        yield file
        return
    sweep(file.parent)
    notes, before = (state_path(file), pin_path(file)), dict[Path, bytes]()
    for note in notes:
        # Without one on the store, the file of this machine stays as it is.
        with suppress(FileNotFoundError):
            before[note] = read_bytes(home / note.name)
            publish_bytes(note, before[note])
    try:
        yield file
    finally:
        for note in notes:
            if note.is_file() and (now := note.read_bytes()) != before.get(note):
                publish_bytes(home / note.name, now)

"""Folders of both kinds of storage, for tests."""

from tasks.paths import AnyPath
from tasks.storage.files import publish_folder, storage_at


def names(folder: AnyPath) -> list[str]:
    """Names in a folder, except the marks of an object store."""
    return [path.name for path in storage_at(folder).survey(folder).entries(folder)]


def publish_two(folder: AnyPath) -> None:
    """Publish a folder of two files, one of them a level down."""
    with publish_folder(folder) as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "one").write_bytes(b"1")
        (temporary / "two").write_bytes(b"22")

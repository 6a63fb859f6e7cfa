"""Files of photos for the tests of listings and snapshots; most of them hold no picture."""

from collections.abc import Mapping

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

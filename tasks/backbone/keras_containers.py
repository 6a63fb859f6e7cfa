"""Checks a file of Keras before Keras reads it: nothing in it may link to other files, or expand to far more bytes."""

import io
import zipfile
from pathlib import Path
from typing import IO, Any

import h5py  # type: ignore[import-untyped]  # h5py ships no types

from tasks.errors import BackboneError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
#: Members of a `.keras` file. Assets belong to layers that look up words, which no network for photos has.
_MEMBERS = frozenset({CONFIG, WEIGHTS, "metadata.json"})
#: Largest ratio of the expanded size to the file's size; Keras itself compresses nothing.
MAX_EXPANSION = 10


def check_archive(path: Path) -> None:
    """Refuse a `.keras` file with members that Keras does not write, or with weights that `check_hdf5` refuses.

    Raises:
        BackboneError: The file is refused.
        KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile: It is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        others = sorted({member.filename for member in members} - _MEMBERS)
        if others:
            raise BackboneError(
                f"{path} holds {others[0]!a}, which no .keras file of a network for photos has. Save the model again "
                "with model.save()."
            )
        _check_expansion(path, sum(member.file_size for member in members))
        check_hdf5(path, io.BytesIO(archive.read(WEIGHTS)))


def check_hdf5(path: Path, content: IO[bytes] | Path) -> None:
    """Refuse an HDF5 file, the user's own or a member of it, that is not self-contained or expands to far more bytes.

    Raises:
        BackboneError: It has soft or external links, takes values from other files, or is a decompression bomb.
        OSError, RuntimeError, ValueError: It is damaged.
    """
    with h5py.File(content, "r") as file:
        links, datasets = list[str](), list[Any]()
        # Only hard links surely stay within the file.
        file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else links.append(name))
        file.visititems(lambda _, thing: datasets.append(thing) if isinstance(thing, h5py.Dataset) else None)
        outside = [*links, *(dataset.name for dataset in datasets if dataset.external or dataset.is_virtual)]
        if outside:
            raise BackboneError(
                f"{path} takes {outside[0]!a} from another place or file, which is never followed here. Save the "
                "weights anew, each within the file."
            )
        _check_expansion(path, sum(dataset.nbytes for dataset in datasets))


def _check_expansion(path: Path, expanded: int) -> None:
    size = path.stat().st_size
    if expanded > MAX_EXPANSION * size:
        raise BackboneError(
            f"{path} has {size:,} bytes and unfolds to {expanded:,}, which no weights do. Save the model again."
        )

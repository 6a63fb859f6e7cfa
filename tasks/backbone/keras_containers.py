"""Looks into a file of Keras' before Keras does: nothing in it may point out of the file, or unfold to far more."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import h5py  # type: ignore[import-untyped]  # h5py ships no types

from tasks.errors import BackboneError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
#: What a `.keras` file holds. Assets are of layers that look words up, which no photo goes through.
_MEMBERS = frozenset({CONFIG, WEIGHTS, "metadata.json"})
#: How many times as large as its file what is in it may be; Keras itself compresses nothing.
MOST_UNFOLDED = 10


def check_weights(path: Path) -> None:
    """Refuse a file of weights, `.keras` or HDF5, as `check_archive` and `check_hdf5` do.

    Raises:
        BackboneError: It is such a file.
        KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile: It is damaged.
    """
    if path.suffix == ".keras":
        check_archive(path)
    else:
        check_hdf5(path, path)


def check_archive(path: Path) -> None:
    """Refuse a `.keras` file whose members are others than Keras writes, or whose weights `check_hdf5` refuses.

    Raises:
        BackboneError: It is such a file.
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
        _check_unfolded(path, sum(member.file_size for member in members))
        check_hdf5(path, io.BytesIO(archive.read(WEIGHTS)))


def check_hdf5(path: Path, content: IO[bytes] | Path) -> None:
    """Refuse an HDF5 file that is not complete in itself, or unfolds to far more than it is.

    Args:
        path: The file that the user gave.
        content: The HDF5 file: that very file, or what is in it.

    Raises:
        BackboneError: It links to other places, takes values from other files, or is a bomb.
        OSError, RuntimeError, ValueError: It is damaged.
    """
    with h5py.File(content, "r") as file:
        links: list[str] = []
        # Of all kinds of links, only hard ones stay within the file and are no detour.
        file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else links.append(name))
        outside = [dataset.name for dataset in _datasets(file) if dataset.external or dataset.is_virtual]
        if links or outside:
            raise BackboneError(
                f"{path} takes {[*links, *outside][0]!a} from another place or file, which is never followed here. "
                "Save the weights anew, each within the file."
            )
        _check_unfolded(path, sum(dataset.nbytes for dataset in _datasets(file)))


def _datasets(file: Any) -> Iterator[Any]:
    found: list[Any] = []
    file.visititems(lambda _, thing: found.append(thing) if isinstance(thing, h5py.Dataset) else None)
    yield from found


def _check_unfolded(path: Path, unfolded: int) -> None:
    size = path.stat().st_size
    if unfolded > MOST_UNFOLDED * size:
        raise BackboneError(
            f"{path} has {size:,} bytes and unfolds to {unfolded:,}, which no weights do. Save the model again."
        )

"""The template of an export: all that heads on the same bottlenecks share, in every format.

A template is written once, with the random numbers of a placeholder head, whose bytes are then found in its files. An
export replaces these bytes by the numbers of its own head; nothing else changes from head to head. A fine-tuned network
shares nothing, and its template is complete.
"""

import datetime as dt
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.errors import ModelError
from tasks.export.formats import FORMATS, KERAS, KERAS_FOLDER
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.errors import DamagedError
from tasks.storage.files import is_there, listed, local, publish_folder, publish_json, read_json
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.train.head import Floats, Head, load_head
from tasks.train.novelty import Background
from tasks.train.settings import TrainSettings

#: Raised when the files of a template change.
CODE_VERSION = 2
#: Templates of a bottleneck store that stay: another set of labels needs another one.
KEPT_TEMPLATES = 3
_FACTS = "template.json"
_PREFIX = "export-"


class Hole(NamedTuple):
    """The place of an array of the head in a file."""

    array: str  #: Its name among the arrays of the head.
    start: int  #: Offset of its first byte.
    transposed: bool  #: Whether the array is stored column by column.


@dataclass(frozen=True)
class Template:
    """A template on this machine."""

    place: AnyPath  #: Its folder in the data root.
    folder: Path  #: The folder, or its copy on this machine.
    holes: Mapping[str, Sequence[Hole]]  #: The holes of each file that has any, by its path in the folder.
    hashes: Mapping[str, str]  #: The sha256 of every file, by its path in the folder.
    lacking: Mapping[str, str]  #: Reasons for missing formats, by their names.

    def load_head(self, model: AnyPath) -> Head | None:
        """Load the head in the folder of a model; None for a fine-tuned network."""
        return load_head(model) if self.holes else None

    def write_files(self, head: Head | None, folder: Path, *, linked: bool = False) -> None:
        """Write an export with the numbers of a head into an empty local folder, and check every byte.

        Args:
            head: The head; None for a fine-tuned network.
            folder: The folder.
            linked: Whether files without holes are hard links, where the file system has them. Nobody may change those.

        Raises:
            DamagedError: A file of the template is missing or damaged.
        """
        for name in self.hashes:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            data = self._read(name)
            if name in self.holes and head is not None:
                target.write_bytes(filled := fill_holes(data, self.holes[name], head))
                if target.read_bytes() != filled:
                    raise OSError(f"{target} does not have the bytes that were written to it.")
            elif linked:
                _link(self.folder / name, target)
            else:
                target.write_bytes(data)
        if (keras := folder / KERAS_FOLDER).is_dir():
            _zip_folder(keras, folder / KERAS.name)

    def _read(self, name: str) -> bytes:
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() != self.hashes[name]:
            raise DamagedError(
                self.place, f"{self.folder / name} is damaged: its sha256 is another one than when it was written."
            )
        return data


def template_folder(model: Model, root: DataRoot) -> AnyPath:
    """Folder of the template of a model: beside the bottlenecks of its first backbone, or in its export."""
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        return root.export(model.key) / "files"
    key = fingerprint(
        {
            "bottlenecks": [bottleneck.key for bottleneck in settings.bottlenecks],
            "rooted": settings.rooted,
            "labels": list(model.labels),
            "arrays": list(load_head(model.folder).arrays),
            "code_version": CODE_VERSION,
        }
    )
    return root.bottleneck(settings.bottlenecks[0].key) / f"{_PREFIX}{key}"


def open_template(model: Model, root: DataRoot, progress: Progress) -> Template:
    """Read the template of a model, or write it, which loads TensorFlow.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The model, or a cached network, is damaged.
    """
    place = template_folder(model, root)
    if not is_there(place):
        with publish_folder(place) as folder:
            _write_template(model, folder, root, progress)
        if isinstance(model.settings, TrainSettings):
            _remove_old_templates(place.parent, root)
    return read_template(place)


def read_template(place: AnyPath) -> Template:
    """Read the template in a folder."""
    facts = read_json(place / _FACTS)
    holes = {name: [Hole(**hole) for hole in own] for name, own in facts["holes"].items()}
    return Template(place, local(place), holes, facts["sha256"], facts["lacking"])


def _write_template(model: Model, folder: Path, root: DataRoot, progress: Progress) -> None:
    with progress.preparing("imports"):
        from tasks.export.classifier import open_classifier
        from tasks.export.writers import write_formats

    head = placeholder_head(load_head(model.folder)) if isinstance(model.settings, TrainSettings) else None
    with temporary_files_in(folder / "temporary"):
        with progress.preparing("network"):
            classifier = open_classifier(model, head)
        lacking = dict(write_formats(model, classifier, folder, root, progress))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    holes: dict[str, list[Hole]] = {}
    hashes = {}
    for path in files:
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        hashes[name] = hashlib.sha256(data).hexdigest()
        if head is not None and (found := find_holes(data, head)):
            holes[name] = found
    if head is not None and len(holes) != len(FORMATS) - len(lacking):
        raise ModelError(
            f"The numbers of the head were found in {', '.join(holes)} alone: a library writes another format in a way "
            "that is not known here. Give --export none, and report it."
        )
    facts = {
        "holes": {name: [hole._asdict() for hole in own] for name, own in holes.items()},
        "sha256": hashes,
        "lacking": lacking,
        "written": dt.datetime.now(dt.UTC).isoformat(),
    }
    publish_json(folder / _FACTS, facts)


def placeholder_head(head: Head) -> Head:
    """Return a head of the same shape whose numbers are random, so that their bytes occur nowhere else."""
    random = np.random.default_rng(0)
    drawn = [random.standard_normal(each.shape).astype(np.float32) for each in head.arrays.values()]
    weights, biases, *others = drawn
    return Head(head.labels, weights, biases, head.rooted, {}, Background(*others) if others else None)


def find_holes(data: bytes, head: Head) -> list[Hole]:
    """Find the arrays of a placeholder head in the bytes of a file; empty unless it has each of them once."""
    holes = []
    for array, values in head.arrays.items():
        for transposed in (False, True):
            numbers = _bytes_of(values, transposed=transposed)
            start = data.find(numbers)
            if start >= 0 and data.find(numbers, start + 1) < 0:
                holes.append(Hole(array, start, transposed))
                break
    return holes if len(holes) == len(head.arrays) else []


def fill_holes(data: bytes, holes: Sequence[Hole], head: Head) -> bytes:
    """Return the bytes of a file with the numbers of a head in its holes."""
    filled, arrays = bytearray(data), head.arrays
    for hole in holes:
        numbers = _bytes_of(arrays[hole.array], transposed=hole.transposed)
        filled[hole.start : hole.start + len(numbers)] = numbers
    return bytes(filled)


def _bytes_of(numbers: Floats, *, transposed: bool) -> bytes:
    return np.ascontiguousarray(numbers.T if transposed else numbers).astype("<f4").tobytes()


def _remove_old_templates(folder: AnyPath, root: DataRoot) -> None:
    templates = [path for path in listed(folder, f"{_PREFIX}*") if is_there(path)]
    for path in sorted(templates, key=lambda path: str(read_json(path / _FACTS)["written"]))[:-KEPT_TEMPLATES]:
        remove(path, root)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _zip_folder(folder: Path, file: Path) -> None:
    """Replace a folder by an uncompressed ZIP file of its files."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.iterdir()):
            # ZipInfo has no current time, so that the same model is the same bytes.
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    shutil.rmtree(folder)


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let libraries write temporary files to a folder that the next run sweeps if this one is killed.

    TensorFlow writes the functions that it transforms there, and would leave them in the system's own folder.
    """
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder)

"""Exports a model: writes it in every format, tests each format, and publishes them together."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tasks.decode.images import MAX_PIXELS
from tasks.decode.photos import open_stores, read_pictures
from tasks.export.card import CARD, write_card, write_labels
from tasks.export.classifier import find_obstacle
from tasks.export.formats import FORMATS, METRICS, Export
from tasks.export.photos import ExportPhotos, convert_to_png, read_files, read_reference
from tasks.export.runners import check_formats
from tasks.export.writers import write_formats
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder, publish_json, publishing
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.storage.tempfiles import scratch_folder


@dataclass(frozen=True)
class ExportInputs:
    """The photos that an export is tested on."""

    evaluation: AnyPath  #: Folder of the model's evaluation.
    photos: AnyPath  #: The folder that the snapshot's paths are relative to.
    root: DataRoot  #: The data root.
    max_pixels: int = MAX_PIXELS  #: Pixels that a photo may have.


def export_model(model: Model, inputs: ExportInputs, progress: Progress) -> Export:
    """Export a model to the folder `export` beside it, and test it.

    If the model cannot be exported, or its export disagrees with it, only the figures are published.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The model, its evaluation, or the decoded store is damaged.
    """
    path = inputs.root.export(model.key)
    if obstacle := find_obstacle(model):
        export = Export({}, {}, 0, {each.name: obstacle for each in FORMATS}, None)
        publish_json(path / METRICS, export.metrics())
        return export
    photos = _read_photos(model, inputs)
    with publish_folder(path) as folder:
        with temporary_files_in(folder / "temporary"):
            lacking = write_formats(model, folder, inputs.root, progress)
            export = check_formats(model, folder, lacking, photos, progress)
        if export.refused:
            _clear(folder)
            if is_there(path):
                remove(path, inputs.root)
        else:
            write_labels(model.labels, folder / "labels.txt")
            export = replace(export, files=sorted({CARD, METRICS, *(path.name for path in folder.iterdir())}))
            write_card(model, export, inputs.evaluation, inputs.root, folder / CARD)
        publish_json(folder / METRICS, export.metrics())
    return export


def retest_export(
    model: Model, inputs: ExportInputs, published: Mapping[str, Any], progress: Progress
) -> Export | None:
    """Test a published export that was not fully tested, given its details in the manifest; None if it still cannot be.

    Raises:
        StoreError: The export, the evaluation of its model, or the decoded store is damaged.
    """
    photos, path = _read_photos(model, inputs), inputs.root.export(model.key)
    if not photos.files.files:
        return None
    with scratch_folder("export") as folder, temporary_files_in(folder / "temporary"):
        export = check_formats(model, local(path), published["lacking"], photos, progress)
    if export.refused:
        remove(path, inputs.root)
    else:
        export = replace(export, files=published["files"])
        with publishing(path / CARD) as card:
            write_card(model, export, inputs.evaluation, inputs.root, card)
    publish_json(path / METRICS, export.metrics())
    return export


def _clear(folder: Path) -> None:
    """Empty a folder; its lock goes with the folder itself."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


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


def _read_photos(model: Model, inputs: ExportInputs) -> ExportPhotos:
    (decode,) = model.decodes
    convert = partial(convert_to_png, folder=inputs.photos, decode=decode, max_pixels=inputs.max_pixels)
    reference = read_reference(inputs.evaluation, model.labels)
    store = open_stores(inputs.root, decode).decoded
    pictures = read_pictures(store, reference.keys)
    store.check(len(pictures), len(reference), "pictures")
    files = read_files(reference, inputs.photos, convert)
    return ExportPhotos(reference, files, [pictures[key] for key in reference.keys])

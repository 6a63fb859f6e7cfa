"""Exports a model: writes it in every form, lets each form predict the test photos, and publishes them together."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from tasks.backbone.frozen_function import freeze_function
from tasks.bottleneck.int8 import int8_network, quantise_network
from tasks.decode.images import MAX_PIXELS
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError, ModelError
from tasks.export.card import CARD, write_card, write_labels
from tasks.export.classifier import Classifier, find_obstacle, open_classifier
from tasks.export.conversion import convert_to_png
from tasks.export.formats import FLOAT, FORMS, INT8, KERAS, SERVED, Export, Tested
from tasks.export.parity import disagrees, find_refusal, judge
from tasks.export.photos import KnownPhotos, PhotoFiles, read_files, read_known, read_pictures
from tasks.export.reference import predict_in
from tasks.export.runners import run_keras, run_lite, run_served
from tasks.export.saved_model import save_keras, save_served
from tasks.export.tflite import float_lite, int8_lite
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder, publish_json, publishing
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.storage.tempfiles import scratch_folder
from tasks.train.settings import TrainSettings

METRICS = "metrics.json"


@dataclass(frozen=True)
class ExportInputs:
    """What an export is tested on.

    Args:
        evaluation: Folder of the model's evaluation.
        photos: The folder that the snapshot's paths are relative to.
        root: Where everything is.
        max_pixels: Pixels that a photo may have.
    """

    evaluation: AnyPath
    photos: AnyPath
    root: DataRoot
    max_pixels: int = MAX_PIXELS


def export_model(model: Model, source: ExportInputs, progress: Progress) -> Export:
    """Export a model to the folder `export` beside it.

    Of one that cannot be exported, and of one whose export says something else, only the figures are published.

    Args:
        model: The model.
        source: What to test it on.
        progress: Told of every form that is written, and of every photo that one predicts.

    Raises:
        BackboneError: The backbone's weights are not as they should be.
        StoreError: The model, its evaluation, or the decoded store is damaged.
    """
    path = source.root.export(model.key)
    if obstacle := find_obstacle(model):
        return _leave_out(obstacle, path)
    photos = _read_photos(model, source)
    with publish_folder(path) as folder:
        with temporary_files_in(folder / "temporary"):
            lacking = write_forms(model, folder, source.root, progress)
            tested = _test(model, folder, photos, progress)
        export = _judged(model, tested, lacking)
        if export.refused:
            _clear(folder)
            if is_there(path):
                remove(path, source.root)
        else:
            write_labels(model.labels, folder / "labels.txt")
            export = replace(export, files=sorted({CARD, METRICS, *(path.name for path in folder.iterdir())}))
            write_card(model, export, source.evaluation, source.root, folder / CARD)
        publish_json(folder / METRICS, _figures(export))
    return export


def _leave_out(obstacle: str, path: AnyPath) -> Export:
    export = Export([METRICS], Tested({}, {}, 0), {form.name: obstacle for form in FORMS}, None)
    publish_json(path / METRICS, _figures(export))
    return export


def test_again(model: Model, source: ExportInputs, kept: Mapping[str, Any], progress: Progress) -> Export | None:
    """Test an export that is kept, but was not tested whole; None where there still is no photo to show its files.

    Args:
        model: The model.
        source: What to test it on.
        kept: The export's `details`.
        progress: Told of every photo that a form predicts.

    Raises:
        StoreError: The export, the evaluation of its model, or the decoded store is damaged.
    """
    photos, path = _read_photos(model, source), source.root.export(model.key)
    if not photos.shown.files:
        return None
    with scratch_folder("export") as folder, temporary_files_in(folder / "temporary"):
        tested = _test(model, local(path), photos, progress)
    export = _judged(model, tested, kept["lacking"])
    if export.refused:
        remove(path, source.root)
    else:
        export = replace(export, files=kept["files"])
        with publishing(path / CARD) as card:
            write_card(model, export, source.evaluation, source.root, card)
    publish_json(path / METRICS, _figures(export))
    return export


def _judged(model: Model, tested: Tested, lacking: Mapping[str, str]) -> Export:
    """What comes of an export that was tested; where it is refused, its figures are all that is published."""
    return Export([METRICS], tested, lacking, find_refusal(tested.forms, _precision(model)))


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _figures(export: Export) -> dict[str, Any]:
    return {**asdict(export.tested), "lacking": dict(export.lacking), "refused": export.refused}


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let libraries keep their temporary files in a folder that is swept with the export where a run is killed.

    TensorFlow writes there what it makes of Python's functions, and would leave it in the system's own folder.
    """
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder)


def write_forms(model: Model, folder: Path, root: DataRoot, progress: Progress) -> dict[str, str]:
    """Write every form that there can be of a model.

    Args:
        model: The model.
        folder: Where to.
        root: Where a backbone in int8 is kept.
        progress: Told of every form.

    Returns:
        Why others are lacking, by their names.

    Raises:
        BackboneError: The backbone's weights are not as they should be.
        StoreError: The model, or a backbone in int8 that is kept, is damaged.
    """
    lacking = {}
    (decode,), labels = model.decodes, model.labels
    name = model.settings.backbones[0].name
    progress.start(len(FORMS), "file")
    with progress.preparing("network"):
        classifier = open_classifier(model)
        graph = freeze_function(classifier.probabilities, classifier.size)
    save_served(graph, decode, labels, folder / SERVED.name)
    progress.advance(1)
    if classifier.keras_model is None:
        lacking[KERAS.name] = f"{name} is a graph, which Keras cannot hold."
    else:
        save_keras(classifier, decode, labels, folder / KERAS.name)
    progress.advance(1)
    try:
        (folder / FLOAT.name).write_bytes(float_lite(graph, classifier.size))
    except ModelError as exc:
        lacking[FLOAT.name] = str(exc)
    progress.advance(1)
    try:
        (folder / INT8.name).write_bytes(int8_lite(_int8_network(model, classifier, root, progress), classifier))
    except BackboneError:
        lacking[INT8.name] = f"{name} is a network that LiteRT cannot compute in int8."
    progress.advance(1)
    return lacking


def _int8_network(model: Model, classifier: Classifier, root: DataRoot, progress: Progress) -> bytes:
    """The network in int8; a backbone's is kept where the bottleneck stage keeps it, so that one is made once."""
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        return quantise_network(classifier.network, settings.decode, settings.backbone.name)
    bottleneck = settings.bottlenecks[0]
    folder = root.bottleneck(replace(bottleneck, precision="int8").key)
    return int8_network(model.prepared[0], bottleneck.decode, folder, progress)


def _precision(model: Model) -> str:
    return model.settings.bottlenecks[0].precision if isinstance(model.settings, TrainSettings) else "float32"


class _TestPhotos(NamedTuple):
    """What the forms of a model are tested on.

    Args:
        known: The test photos, N.
        shown: Those of them whose files can be shown, for forms that take files.
        pictures: Encoded pictures of all of them, N, for forms that take pixels.
    """

    known: KnownPhotos
    shown: PhotoFiles
    pictures: list[bytes]


def _read_photos(model: Model, source: ExportInputs) -> _TestPhotos:
    """Read the test photos, files of formats that no form reads converted."""
    (decode,) = model.decodes
    convert = partial(convert_to_png, folder=source.photos, decode=decode, max_pixels=source.max_pixels)
    known = read_known(source.evaluation, model.labels)
    pictures = read_pictures(known, open_stores(source.root, decode).decoded)
    return _TestPhotos(known, read_files(known, source.photos, convert), pictures)


def _test(model: Model, folder: Path, photos: _TestPhotos, progress: Progress) -> Tested:
    """Let every form predict the test photos."""
    known, shown, pictures = photos
    written = [form for form in FORMS if (folder / form.name).exists()]
    progress.start(len(written) * len(known), "photo")
    left_out = dict(shown.left_out)
    places, probabilities = run_served(folder / SERVED.name, shown.files, progress)
    if len(places) < len(shown.files):
        left_out["unreadable for TensorFlow"] = len(shown.files) - len(places)
    read, files = shown.photos.take(places), [shown.files[place] for place in places]
    say_in = cache(lambda precision: replace(known, probabilities=predict_in(precision, model, pictures, progress)))
    forms = {}
    for form in written:
        if form is KERAS:
            probabilities = run_keras(folder / KERAS.name, files, progress) if files else probabilities
        elif not form.decodes:
            probabilities = run_lite((folder / form.name).read_bytes(), pictures, progress)
        seen = read if form.decodes else known
        figures = judge(seen, probabilities)
        if form.precision != _precision(model) and disagrees(form, figures):
            figures["in_its_precision"] = judge(say_in(form.precision).find(seen.keys), probabilities)
        forms[form.name] = figures
    return Tested(forms, left_out, shown.converted)

"""Exports a model: writes it in every form, lets each form predict the test photos, and publishes them together."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.artifacts import DataRoot, publish_folder, publish_json
from tasks.backbone.frozen_function import freeze_function
from tasks.bottleneck.int8 import int8_network, quantise_network
from tasks.decode.photos import open_stores
from tasks.errors import BackboneError, ModelError
from tasks.export.agreement import KnownPhotos, check, judge, read_files, read_known, read_pictures
from tasks.export.card import CARD, write_card, write_labels
from tasks.export.classifier import Classifier, open_classifier
from tasks.export.forms import FLOAT, FORMS, INT8, KERAS, SERVED, Export, Tested
from tasks.export.lite import float_lite, int8_lite
from tasks.export.running import run_keras, run_lite, run_served
from tasks.export.serving import save_keras, save_served
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.train.settings import TrainSettings


@dataclass(frozen=True)
class Source:
    """What an export is tested on.

    Args:
        evaluation: Folder of the model's evaluation.
        photos: The folder that the snapshot's paths are relative to.
        root: Where everything is.
    """

    evaluation: AnyPath
    photos: AnyPath
    root: DataRoot


def export_model(model: Model, source: Source, progress: Progress) -> Export:
    """Export a model to the folder `export` beside it.

    Args:
        model: The model.
        source: What to test it on.
        progress: Told of every form that is written, and of every photo that one predicts.

    Raises:
        BackboneError: The backbone's weights are not as they should be.
        ModelError: An export names other labels than the model; nothing is published then.
        StoreError: The model, its evaluation, or the decoded store is damaged.
    """
    known = read_known(source.evaluation / "predictions.parquet", model.labels)
    with publish_folder(source.root.export(model.key)) as folder:
        with temporary_files_in(folder / "temporary"):
            lacking = write_forms(model, folder, source.root, progress)
            tested = _test(model, folder, known, source, progress)
        check(tested.forms, _precision(model))
        publish_json(folder / "metrics.json", {**asdict(tested), "lacking": lacking})
        write_labels(model.labels, folder / "labels.txt")
        export = Export(sorted({CARD, *(path.name for path in folder.iterdir())}), tested, lacking)
        write_card(model, export, source.evaluation, source.root, folder / CARD)
    return export


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
    decode, labels = model.settings.decode, model.labels
    progress.start(len(FORMS), "file")
    with progress.preparing("network"):
        classifier = open_classifier(model)
        graph = freeze_function(classifier.probabilities, classifier.size)
    save_served(graph, decode, labels, folder / SERVED.name)
    progress.advance(1)
    if classifier.keras_model is None:
        lacking[KERAS.name] = f"{model.prepared.backbone.name} is a graph, which Keras cannot hold."
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
        lacking[INT8.name] = f"{model.prepared.backbone.name} is a network that LiteRT cannot compute in int8."
    progress.advance(1)
    return lacking


def _int8_network(model: Model, classifier: Classifier, root: DataRoot, progress: Progress) -> bytes:
    """The network in int8; a backbone's is kept where the bottleneck stage keeps it, so that one is made once."""
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        return quantise_network(classifier.network, settings.decode, model.prepared.backbone.name)
    folder = root.bottleneck(replace(settings.bottleneck, precision="int8").key)
    return int8_network(model.prepared, settings.decode, folder, progress)


def _precision(model: Model) -> str:
    return model.settings.bottleneck.precision if isinstance(model.settings, TrainSettings) else "float32"


def _test(model: Model, folder: Path, known: KnownPhotos, source: Source, progress: Progress) -> Tested:
    """Let every form predict the test photos."""
    written = [form.name for form in FORMS if (folder / form.name).exists()]
    progress.start(len(written) * len(known), "photo")
    photos, files, left_out = read_files(known, source.photos)
    places, probabilities = run_served(folder / SERVED.name, files, progress)
    if len(places) < len(files):
        left_out["unreadable for TensorFlow"] = len(files) - len(places)
    photos, files = photos.take(places), [files[place] for place in places]
    forms = {SERVED.name: judge(photos, probabilities)}
    if KERAS.name in written:
        forms[KERAS.name] = judge(photos, run_keras(folder / KERAS.name, files, progress) if files else probabilities)
    pictures = read_pictures(known, open_stores(source.root, model.settings.decode).decoded)
    for name in (FLOAT.name, INT8.name):
        if name in written:
            forms[name] = judge(known, run_lite((folder / name).read_bytes(), pictures, progress))
    return Tested(forms, left_out)

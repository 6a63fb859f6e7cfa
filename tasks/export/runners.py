"""Predicts the test photos with each exported format, as its users do, and with the pipeline in another precision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from tasks.bottleneck.litert_forward import LiteRTForward, quantise_network
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.export.classifier import open_classifier
from tasks.export.formats import FORMATS, KERAS, SAVED_MODEL, Export
from tasks.export.parity import compare, disagrees, find_refusal
from tasks.export.photos import ExportPhotos
from tasks.export.writers import INPUT
from tasks.hardware import available_cores
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress, Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Floats, softmax
from tasks.train.settings import TrainSettings

#: Photos in a batch.
BATCH_SIZE = 16


def check_formats(
    model: Model, folder: Path, lacking: Mapping[str, str], photos: ExportPhotos, progress: Progress
) -> Export:
    """Predict the test photos with every format in a folder, and compare the predictions with the pipeline's."""
    settings = model.settings
    own_precision = settings.bottlenecks[0].precision if isinstance(settings, TrainSettings) else "float32"
    reference, files, pictures = photos
    written = [each for each in FORMATS if (folder / each.name).exists()]
    progress.start(len(written) * len(reference), "photo")
    left_out = dict(files.left_out)
    read, probabilities = run_saved_model(folder / SAVED_MODEL.name, files.files, progress)
    if len(read) < len(files.files):
        left_out["unreadable for TensorFlow"] = len(files.files) - len(read)
    shown, data = files.photos.take(read), [files.files[index] for index in read]

    @cache
    def reference_in(precision: str) -> Floats:
        return predict_in(precision, model, pictures, progress)

    formats = {}
    for each in written:
        if each is KERAS and data:
            probabilities = run_keras(folder / KERAS.name, data, progress)
        elif not each.decodes:
            probabilities = run_tflite((folder / each.name).read_bytes(), pictures, progress)
        seen = shown if each.decodes else reference
        figures = compare(seen, probabilities)
        if each.precision != own_precision and disagrees(each, figures):
            in_precision = replace(reference, probabilities=reference_in(each.precision)).find(seen.keys)
            figures["in_its_precision"] = compare(in_precision, probabilities)
        formats[each.name] = figures
    return Export(formats, left_out, files.converted, lacking, find_refusal(formats, own_precision))


def run_saved_model(folder: Path, files: Sequence[bytes], progress: Progress) -> tuple[list[int], Floats]:
    """Run a SavedModel on the bytes of N photos.

    Returns:
        Indices of the n photos that it could read, and their probabilities, float32 [n, C].
    """
    model = tf.saved_model.load(str(folder))
    predict = model.signatures["serving_default"]
    read: list[int] = []
    probabilities: list[Floats] = []
    waiting = [list(range(start, min(start + BATCH_SIZE, len(files)))) for start in range(0, len(files), BATCH_SIZE)]
    while waiting:
        batch = waiting.pop(0)
        try:
            answer = predict(**{INPUT: tf.constant([files[index] for index in batch])})
        except tf.errors.InvalidArgumentError:
            # TensorFlow cannot read some photo of the batch: each is tried alone.
            if len(batch) > 1:
                waiting = [[index] for index in batch] + waiting
                continue
        else:
            read += batch
            probabilities.append(answer["probabilities"].numpy())
        progress.advance(len(batch))
    width = predict.structured_outputs["probabilities"].shape[-1]
    return read, np.concatenate([np.empty((0, width), np.float32), *probabilities])


def run_keras(file: Path, files: Sequence[bytes], progress: Progress) -> Floats:
    """Run a Keras model on the bytes of N photos, at least one: float32 [N, C]."""
    # `tasks.export.writers` has imported the model's own layers, which registers them.
    model = keras.saving.load_model(file, safe_mode=True)
    listener = keras.callbacks.LambdaCallback(on_predict_batch_end=lambda *_, **__: progress.advance(BATCH_SIZE))
    answer = model.predict(tf.constant(files), batch_size=BATCH_SIZE, verbose=0, callbacks=[listener])
    probabilities: Floats = answer["probabilities"]
    return probabilities


def run_tflite(network: bytes, pictures: Sequence[bytes], progress: Progress) -> Floats:
    """Run a TFLite model on N encoded pictures: float32 [N, C]."""
    forward = LiteRTForward(network, available_cores())
    batches = (pictures[start : start + BATCH_SIZE] for start in range(0, len(pictures), BATCH_SIZE))
    predicted: list[Floats] = []
    for probabilities in map_ordered(lambda batch: forward(_decode(batch)), batches, forward.workers):
        predicted.append(probabilities)
        progress.advance(len(probabilities))
    return np.concatenate(predicted)


def predict_in(precision: str, model: Model, pictures: Sequence[bytes], progress: Progress) -> Floats:
    """Predict N encoded pictures, at least one, with the pipeline in another precision: float32 [N, C].

    A fine-tuned network, which the pipeline computes in float32, is computed in int8.
    """
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        network = quantise_network(open_classifier(model).network, settings.decode, settings.backbone.name)
        return softmax(run_tflite(network, pictures, NullProgress()))
    bottlenecks = tuple(replace(each, precision=cast("Precision", precision)) for each in settings.bottlenecks)
    predictor = Predictor(replace(model, settings=replace(settings, bottlenecks=bottlenecks)), progress)
    size = predictor.batch_size
    batches = (pictures[start : start + size] for start in range(0, len(pictures), size))
    predicted = map_ordered(lambda batch: predictor.predict_batch([_decode(batch)]), batches, predictor.workers)
    return np.concatenate(list(predicted))


def _decode(pictures: Sequence[bytes]) -> Pixels:
    return np.stack([read_pixels(picture) for picture in pictures])

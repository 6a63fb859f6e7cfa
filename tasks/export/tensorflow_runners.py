"""Predicts photos with the exported files that decode them, as their users do. Importing it loads TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.bottleneck.litert_forward import LiteRTForward, quantise_network
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.export.classifier import open_classifier
from tasks.export.formats import KERAS, SAVED_MODEL, ExportFormat
from tasks.export.runners import BATCH_SIZE
from tasks.export.writers import INPUT
from tasks.hardware import available_cores
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Floats, softmax


def run_decoding(
    formats: Sequence[ExportFormat], folder: Path, files: Sequence[bytes], progress: Progress
) -> tuple[list[int], dict[str, Floats]]:
    """Run the SavedModel of an export, and the Keras model if it is among the formats, on the bytes of N photos.

    Returns:
        Indices of the n photos that the SavedModel could read, and the probabilities of each format, float32 [n, C].
    """
    progress.start(len(formats) * len(files), "photo")
    read, probabilities = run_saved_model(folder, files, progress)
    predicted = {SAVED_MODEL.name: probabilities}
    if KERAS in formats:
        data = [files[index] for index in read]
        predicted[KERAS.name] = run_keras(folder / KERAS.name, data, progress) if data else probabilities
    return read, predicted


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


def predict_in_int8(model: Model, pixels: Pixels) -> Floats:
    """Predict N photos, uint8 [N, S, S, 3], with a fine-tuned network in int8: float32 [N, C]."""
    (decode,), ((branch,),) = model.decodes, open_classifier(model, None).crops
    forward = LiteRTForward(quantise_network(branch.network, decode, model.key), available_cores())
    return softmax(np.concatenate(list(map_ordered(forward, np.array_split(pixels, forward.workers), forward.workers))))

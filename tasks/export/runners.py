"""Runs exports as their users do: from their files, on photos' files or on pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.bottleneck.int8 import Int8Forward
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.export import layers  # noqa: F401 (registers the layers of a Keras model)
from tasks.export.saved_model import INPUT
from tasks.hardware import available_cores
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Floats

#: Photos in a batch.
BATCH_SIZE = 16


def run_served(folder: Path, files: Sequence[bytes], progress: Progress) -> tuple[list[int], Floats]:
    """Run a SavedModel.

    Args:
        folder: The SavedModel's.
        files: Bytes of N photos.
        progress: Told of every photo.

    Returns:
        The places of the n photos that it could read, and their probabilities, float32 [n, C].
    """
    model = tf.saved_model.load(str(folder))
    predict = model.signatures["serving_default"]
    read: list[int] = []
    probabilities: list[Floats] = []
    waiting = [list(range(start, min(start + BATCH_SIZE, len(files)))) for start in range(0, len(files), BATCH_SIZE)]
    while waiting:
        places = waiting.pop(0)
        try:
            answer = predict(**{INPUT: tf.constant([files[place] for place in places])})
        except tf.errors.InvalidArgumentError:
            # Some photo of the batch is nothing that TensorFlow reads: each is tried alone.
            if len(places) > 1:
                waiting = [[place] for place in places] + waiting
                continue
        else:
            read += places
            probabilities.append(answer["probabilities"].numpy())
        progress.advance(len(places))
    width = predict.structured_outputs["probabilities"].shape[-1]
    return read, np.concatenate([np.empty((0, width), np.float32), *probabilities])


def run_keras(file: Path, files: Sequence[bytes], progress: Progress) -> Floats:
    """Run a Keras model on photos' bytes, N of them and one at least: float32 [N, C]."""
    model = keras.saving.load_model(file, safe_mode=True)
    told = keras.callbacks.LambdaCallback(on_predict_batch_end=lambda *_, **__: progress.advance(BATCH_SIZE))
    answer = model.predict(tf.constant(files), batch_size=BATCH_SIZE, verbose=0, callbacks=[told])
    probabilities: Floats = answer["probabilities"]
    return probabilities


def run_lite(network: bytes, pictures: Sequence[bytes], progress: Progress) -> Floats:
    """Run a TFLite model on encoded pictures, N of them: float32 [N, C]."""
    forward = Int8Forward(network, available_cores())

    def predict(batch: Sequence[bytes]) -> Floats:
        return forward(np.stack([read_pixels(picture) for picture in batch]))

    predicted: list[Floats] = []
    batches = (pictures[start : start + BATCH_SIZE] for start in range(0, len(pictures), BATCH_SIZE))
    for probabilities in map_ordered(predict, batches, forward.workers):
        predicted.append(probabilities)
        progress.advance(len(probabilities))
    return np.concatenate(predicted)

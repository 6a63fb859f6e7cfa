"""Predicts photos with the exported files that decode them, as their users do. Importing it loads TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.bottleneck.litert_forward import LiteRTForward, quantise_network
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.export.classifier import open_classifier
from tasks.export.formats import KERAS, SAVED_MODEL, ExportFormat
from tasks.export.writers import INPUT
from tasks.hardware import available_cores
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Floats, softmax

#: Photos in a batch.
BATCH_SIZE = 16
#: From photos' bytes, a string tensor [N], to tensors by name, among them `probabilities`, float32 [N, C].
Predict = Callable[[Any], Mapping[str, Any]]


def run_decoding(
    formats: Sequence[ExportFormat], folder: Path, files: Sequence[bytes], labels: int, progress: Progress
) -> tuple[list[int], dict[str, Floats]]:
    """Run the SavedModel of an export, and the Keras model if it is among the formats, on the bytes of N photos.

    Returns:
        Indices of the n photos that the SavedModel could read, and the probabilities of each format, float32 [n, C].
    """
    progress.start(len(formats) * len(files), "photo")
    read = list(range(len(files)))
    predicted = {}
    for format_, open_ in ((SAVED_MODEL, _open_saved_model), (KERAS, _open_keras)):
        if format_ in formats:
            read, predicted[format_.name] = _run(open_(folder), read, files, labels, progress)
    return read, predicted


def _open_saved_model(folder: Path) -> Predict:
    model = tf.saved_model.load(str(folder))
    return lambda photos: model.signatures["serving_default"](**{INPUT: photos})


def _open_keras(folder: Path) -> Predict:
    # `tasks.export.writers` has imported the model's own layers, which registers them.
    model = keras.saving.load_model(folder / KERAS.name, safe_mode=True)
    # The model's `predict` computes the same, and on 2 cores waits for 1 to 5 s in some processes.
    predict: Predict = tf.function(model, [tf.TensorSpec((None,), tf.string)], autograph=False)
    return predict


def _run(
    predict: Predict, indices: Sequence[int], files: Sequence[bytes], labels: int, progress: Progress
) -> tuple[list[int], Floats]:
    """Predict those of N photos that TensorFlow can read.

    Returns:
        Their indices, and their probabilities, float32 [n, C].
    """
    read: list[int] = []
    probabilities: list[Floats] = [np.empty((0, labels), np.float32)]
    waiting = [list(indices[start : start + BATCH_SIZE]) for start in range(0, len(indices), BATCH_SIZE)]
    while waiting:
        batch = waiting.pop(0)
        try:
            answer = predict(tf.constant([files[index] for index in batch]))
        except tf.errors.InvalidArgumentError:
            # TensorFlow cannot read some photo of the batch: each is tried alone.
            if len(batch) > 1:
                waiting = [[index] for index in batch] + waiting
                continue
        else:
            read += batch
            probabilities.append(answer["probabilities"].numpy())
        progress.advance(len(batch))
    return read, np.concatenate(probabilities)


def predict_in_int8(model: Model, pixels: Pixels) -> Floats:
    """Predict N photos, uint8 [N, S, S, 3], with a fine-tuned network in int8: float32 [N, C]."""
    (decode,), ((branch,),) = model.decodes, open_classifier(model, None).crops
    forward = LiteRTForward(quantise_network(branch.network, decode, model.key), available_cores())
    return softmax(np.concatenate(list(map_ordered(forward, np.array_split(pixels, forward.workers), forward.workers))))

"""Predicts photos with the exported files that decode them, as their users do. Importing it loads TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.bottleneck.litert_forward import LiteRTForward, quantise_network
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.export import layers  # noqa: F401 (registers the layers of Keras models)
from tasks.export.classifier import open_classifier
from tasks.export.formats import INPUT, KERAS, SAVED_MODEL, ExportFormat
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
        Indices of the n photos that each format could read, and the probabilities of each, float32 [n, C].
    """
    progress.start(len(formats) * len(files), "photo")
    predicted = {format_.name: _run(_OPEN[format_](folder), files, labels, progress) for format_ in formats}
    unreadable = set[int]().union(*(own for own, _ in predicted.values()))
    read = [index for index in range(len(files)) if index not in unreadable]
    return read, {name: probabilities[read] for name, (_, probabilities) in predicted.items()}


def _open_saved_model(folder: Path) -> Predict:
    model = tf.saved_model.load(str(folder))
    return lambda photos: model.signatures["serving_default"](**{INPUT: photos})


def _open_keras(folder: Path) -> Predict:
    model = keras.saving.load_model(folder / KERAS.name, safe_mode=True)
    # The model's `predict` computes the same, and on 2 cores waits for 1 to 5 s in some processes.
    predict: Predict = tf.function(model, [tf.TensorSpec((None,), tf.string)], autograph=False)
    return predict


#: Functions that open an export of each format in a folder.
_OPEN = {SAVED_MODEL: _open_saved_model, KERAS: _open_keras}


def _run(predict: Predict, files: Sequence[bytes], labels: int, progress: Progress) -> tuple[list[int], Floats]:
    """Predict N photos.

    Returns:
        Indices of those that TensorFlow cannot read, and the probabilities, float32 [N, C], zero for these.
    """
    unreadable: list[int] = []
    probabilities = np.zeros((len(files), labels), np.float32)
    waiting = [list(range(start, min(start + BATCH_SIZE, len(files)))) for start in range(0, len(files), BATCH_SIZE)]
    while waiting:
        batch = waiting.pop(0)
        try:
            answer = predict(tf.constant([files[index] for index in batch]))
        except tf.errors.InvalidArgumentError:
            # TensorFlow cannot read some photo of the batch: each is tried alone.
            if len(batch) > 1:
                waiting = [[index] for index in batch] + waiting
                continue
            unreadable += batch
        else:
            probabilities[batch] = answer["probabilities"].numpy()
        progress.advance(len(batch))
    return unreadable, probabilities


def predict_in_int8(model: Model, pixels: Pixels) -> Floats:
    """Predict N photos, uint8 [N, S, S, 3], with a fine-tuned network in int8: float32 [N, C]."""
    (decode,), ((branch,),) = model.decodes, open_classifier(model, None).crops
    forward = LiteRTForward(quantise_network(branch.network, decode, model.key), available_cores())
    return softmax(np.concatenate(list(map_ordered(forward, np.array_split(pixels, forward.workers), forward.workers))))

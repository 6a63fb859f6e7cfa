"""The classic loop as a program: what `classic_loop` times beside our pipeline.

    python -m tests.benchmarks.classic_program TASK.json

The method is that of retrain.py
(https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py) with its defaults, in our words:
each photo goes from its JPEG bytes through a frozen graph alone, in two runs of a session; its bottleneck becomes a
text file of numbers with commas between them; and every one of the steps that train the softmax layer draws its photos
anew and reads their files again. Left out is what retrain.py does besides and what would only make it slower: summaries
for TensorBoard, a checkpoint, and a graph of the result.
"""

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

BATCH = 100
VALIDATE_EVERY = 10
LEARNING_RATE, DEVIATION = 0.01, 0.001
TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")

v1 = tf.compat.v1


@dataclass(frozen=True)
class Task:
    """What the program is to do.

    Args:
        graph: File of the frozen graph: pixels, float32 [N, size, size, 3], RGB, 0 to 1, to bottlenecks [N, D].
        pixels: Name of its input.
        bottleneck: Name of its output.
        size: Height and width of its input in pixels.
        source: Folder that the photos' paths are relative to.
        vectors: Folder that the text files go to.
        steps: Steps of training.
        photos: Paths by label and split.
    """

    graph: str
    pixels: str
    bottleneck: str
    size: int
    source: str
    vectors: str
    steps: int
    photos: Mapping[str, Mapping[str, Sequence[str]]]

    def vector_file(self, photo: str) -> Path:
        """The text file of a photo."""
        return Path(self.vectors) / f"{photo}.txt"


class Backbone:
    """A frozen graph, and the decoding of JPEG in front of it, in one session.

    Args:
        task: Which graph.
    """

    def __init__(self, task: Task) -> None:
        definition = v1.GraphDef.FromString(Path(task.graph).read_bytes())
        self.session = v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            self._pixels, self.bottleneck = tf.graph_util.import_graph_def(
                definition, return_elements=[task.pixels, task.bottleneck], name=""
            )
            self._jpeg = v1.placeholder(tf.string)
            photo = tf.image.convert_image_dtype(tf.io.decode_jpeg(self._jpeg, channels=3), tf.float32)
            self._resized = v1.image.resize_bilinear(photo[None], (task.size, task.size))

    def __call__(self, jpeg: bytes) -> npt.NDArray[np.float32]:
        """One photo's bottleneck, float32 [D]."""
        resized = self.session.run(self._resized, {self._jpeg: jpeg})
        vector: npt.NDArray[np.float32] = self.session.run(self.bottleneck, {self._pixels: resized})[0]
        return vector


class Layer:
    """The softmax layer that is trained, in the session of the backbone.

    Args:
        backbone: Where its inputs come from.
        labels: How many.
    """

    def __init__(self, backbone: Backbone, labels: int) -> None:
        self._session = backbone.session
        with self._session.graph.as_default():
            width = backbone.bottleneck.shape[1]
            weights = v1.get_variable("weights", initializer=tf.random.truncated_normal((width, labels), 0, DEVIATION))
            biases = v1.get_variable("biases", initializer=tf.zeros(labels))
            self._vectors = v1.placeholder(tf.float32, (None, width))
            self._truth = v1.placeholder(tf.int64, (None,))
            scores = self._vectors @ weights + biases
            self._loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self._truth, scores))
            self._step = v1.train.GradientDescentOptimizer(LEARNING_RATE).minimize(self._loss)
            self._accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(scores, 1), self._truth), tf.float32))
            self._session.run(v1.global_variables_initializer())

    def step(self, batch: "Batch") -> None:
        """One step down the mean cross-entropy."""
        self._session.run(self._step, self._feed(batch))

    def measure(self, batch: "Batch") -> tuple[float, float]:
        """Accuracy in [0, 1] and mean cross-entropy."""
        accuracy, loss = self._session.run([self._accuracy, self._loss], self._feed(batch))
        return float(accuracy), float(loss)

    def _feed(self, batch: "Batch") -> dict[Any, Any]:
        return {self._vectors: batch.vectors, self._truth: batch.truth}


@dataclass(frozen=True)
class Batch:
    """Bottlenecks as they were read, and the index of each one's label."""

    vectors: list[list[float]]
    truth: list[int]


def write_vectors(task: Task, backbone: Backbone) -> None:
    """Write the text file of every photo."""
    for splits in task.photos.values():
        for photo in (photo for split in SPLITS for photo in splits[split]):
            vector = backbone((Path(task.source) / photo).read_bytes())
            file = task.vector_file(photo)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(",".join(str(number) for number in vector))


def read_vector(task: Task, photo: str) -> list[float]:
    """Read a text file again."""
    return [float(number) for number in task.vector_file(photo).read_text().split(",")]


def draw(task: Task, split: str, source: random.Random) -> Batch:
    """Draw a label, then a photo of it, a hundred times, and read what was drawn."""
    labels = list(task.photos)
    truth = [source.randrange(len(labels)) for _ in range(BATCH)]
    drawn = [source.choice(task.photos[labels[label]][split]) for label in truth]
    return Batch([read_vector(task, photo) for photo in drawn], truth)


def train(task: Task, layer: Layer) -> None:
    """Take all steps; every tenth and the last also tell how the layer does."""
    source = random.Random(0)  # noqa: S311 (which photos are drawn is no secret)
    for step in range(task.steps):
        batch = draw(task, TRAIN, source)
        layer.step(batch)
        if step % VALIDATE_EVERY == 0 or step + 1 == task.steps:
            accuracy, loss = layer.measure(batch)
            validation, _ = layer.measure(draw(task, VALIDATION, source))
            sys.stderr.write(f"Step {step}: training {accuracy:.1%}, loss {loss:.6f}, validation {validation:.1%}\n")


def everything(task: Task, split: str) -> Batch:
    """Read all photos of a split."""
    pairs = [(photo, index) for index, splits in enumerate(task.photos.values()) for photo in splits[split]]
    return Batch([read_vector(task, photo) for photo, _ in pairs], [index for _, index in pairs])


def main() -> None:
    """Do it all, and say on standard output as JSON how long each part took and how good the result is."""
    task = Task(**json.loads(Path(sys.argv[1]).read_text()))
    times = [time.monotonic()]
    backbone = Backbone(task)
    write_vectors(task, backbone)
    times.append(time.monotonic())
    layer = Layer(backbone, len(task.photos))
    train(task, layer)
    times.append(time.monotonic())
    accuracy, _ = layer.measure(everything(task, TEST))
    times.append(time.monotonic())
    parts = ("bottlenecks", "steps", "test")
    seconds = {part: after - before for part, before, after in zip(parts, times, times[1:], strict=False)}
    sys.stdout.write(json.dumps({"seconds": seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main()

"""The loop of retrain.py as a program, which `classic_loop` times; its argument is a JSON file with the task.

The method is that of https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py with its
defaults: each photo goes from its JPEG bytes through a frozen graph alone, in two runs of a session; its bottleneck
becomes a text file of comma-separated numbers; each step of the softmax layer draws its photos anew and reads their
files again. Summaries for TensorBoard, checkpoints and the graph of the result, which would make it slower, are left
out.
"""

import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

BATCH = 100
VALIDATE_EVERY = 10
LEARNING_RATE, DEVIATION = 0.01, 0.001
SPLITS = ("train", "validation", "test")

v1 = tf.compat.v1
#: Bottlenecks as they were read, and the index of each one's label.
Batch = tuple[list[list[float]], list[int]]


@dataclass(frozen=True)
class Task:
    """Photos, a frozen graph, and the number of steps."""

    graph: str  #: File of the graph: pixels, float32 [N, size, size, 3], RGB, 0 to 1, to bottlenecks [N, D].
    pixels: str  #: Name of its input.
    bottleneck: str  #: Name of its output.
    size: int  #: Height and width of its input in pixels.
    source: str  #: Folder that the photos' paths are relative to.
    vectors: str  #: Folder that the text files go to.
    steps: int  #: Steps of training.
    photos: Mapping[str, Mapping[str, Sequence[str]]]  #: Paths by label and split.

    def vector_file(self, photo: str) -> Path:
        return Path(self.vectors) / f"{photo}.txt"

    def read(self, photos: Iterable[tuple[int, str]]) -> Batch:
        """Read the text files of photos, which come with the indices of their labels."""
        pairs = list(photos)
        texts = [self.vector_file(photo).read_text() for _, photo in pairs]
        return [[float(number) for number in text.split(",")] for text in texts], [label for label, _ in pairs]

    def draw(self, split: str, source: random.Random) -> Batch:
        """Draw a label, then a photo of it, a hundred times, and read the photos."""
        labels = list(self.photos)
        truth = [source.randrange(len(labels)) for _ in range(BATCH)]
        return self.read([(label, source.choice(self.photos[labels[label]][split])) for label in truth])


class Program:
    """The frozen graph, the decoding before it and the softmax layer behind it, in one session."""

    def __init__(self, task: Task) -> None:
        self.task = task
        definition = v1.GraphDef.FromString(Path(task.graph).read_bytes())
        self.session = v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            self.pixels, self.bottleneck = tf.graph_util.import_graph_def(
                definition, return_elements=[task.pixels, task.bottleneck], name=""
            )
            self.jpeg = v1.placeholder(tf.string)
            photo = tf.image.convert_image_dtype(tf.io.decode_jpeg(self.jpeg, channels=3), tf.float32)
            self.resized = v1.image.resize_bilinear(photo[None], (task.size, task.size))

            width, labels = self.bottleneck.shape[1], len(task.photos)
            weights = v1.get_variable("weights", initializer=tf.random.truncated_normal((width, labels), 0, DEVIATION))
            biases = v1.get_variable("biases", initializer=tf.zeros(labels))
            self.vectors = v1.placeholder(tf.float32, (None, width))
            self.truth = v1.placeholder(tf.int64, (None,))
            scores = self.vectors @ weights + biases
            self.loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self.truth, scores))
            self.step = v1.train.GradientDescentOptimizer(LEARNING_RATE).minimize(self.loss)
            self.accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(scores, 1), self.truth), tf.float32))
            self.session.run(v1.global_variables_initializer())

    def write_vectors(self) -> None:
        for photo in (photo for splits in self.task.photos.values() for split in SPLITS for photo in splits[split]):
            resized = self.session.run(self.resized, {self.jpeg: (Path(self.task.source) / photo).read_bytes()})
            (vector,) = self.session.run(self.bottleneck, {self.pixels: resized})
            file = self.task.vector_file(photo)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(",".join(str(number) for number in np.asarray(vector, np.float32)))

    def train(self) -> None:
        """Take all steps; every tenth and the last one also report how the layer does."""
        source = random.Random(0)  # noqa: S311 (which photos are drawn is no secret)
        for step in range(self.task.steps):
            batch = self.task.draw("train", source)
            self.session.run(self.step, self._feed(batch))
            if step % VALIDATE_EVERY == 0 or step + 1 == self.task.steps:
                accuracy, loss = self.session.run([self.accuracy, self.loss], self._feed(batch))
                validation = self.measure(self.task.draw("validation", source))
                sys.stderr.write(f"Step {step}: training {accuracy:.1%}, {loss:.6f}, validation {validation:.1%}\n")

    def measure(self, batch: Batch) -> float:
        """Return the accuracy on a batch, 0 to 1."""
        return float(self.session.run(self.accuracy, self._feed(batch)))

    def _feed(self, batch: Batch) -> dict[object, object]:
        return {self.vectors: batch[0], self.truth: batch[1]}


def main() -> None:
    task = Task(**json.loads(Path(sys.argv[1]).read_text()))
    program = Program(task)
    program.write_vectors()
    program.train()
    test = [(label, photo) for label, splits in enumerate(task.photos.values()) for photo in splits["test"]]
    sys.stdout.write(f"{program.measure(task.read(test))}\n")


if __name__ == "__main__":
    main()

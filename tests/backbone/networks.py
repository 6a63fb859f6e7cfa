"""A small network, the files in which a user may have it, and its bottlenecks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.backbone.scaling import SCALINGS
from tasks.bottleneck.tensorflow_forward import TensorFlowForward
from tasks.runtime.tensorflow_import import freeze, keras, tf

#: Computes a tensor, by its name, from the name and the value of another.
Compute = Callable[[str, str, object], npt.NDArray[Any]]

SIZE = 24
#: Four pictures.
PIXELS = np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
SPEC = tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="pixels")
layers = keras.layers


def classifier(*first: Any, size: int | None = SIZE) -> Any:
    """A small network: the first layers, two convolutions, their average, called `features`, and 5 classes."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *first,
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.BatchNormalization(name="normed"),
            layers.Conv2D(6, 3, activation="relu", name="map"),
            layers.GlobalAveragePooling2D(name="features"),
            layers.Dense(5, activation="softmax"),
        ]
    )


def headless(model: Any, outputs: str | Sequence[str] = "features") -> Any:
    """The network up to a layer, or to several, by their names."""
    if isinstance(outputs, str):
        return keras.Model(model.inputs[0], model.get_layer(outputs).output)
    return keras.Model(model.inputs[0], {name: model.get_layer(name).output for name in outputs})


def save(model: Any, folder: Path) -> Path:
    model.save(folder / "mine.keras")
    return folder / "mine.keras"


def export(model: Any, folder: Path) -> Path:
    model.export(folder / "mine", verbose=False)
    return folder / "mine"


def export_function(call: Callable[[Any], Any], folder: Path, spec: Any = SPEC) -> Path:
    """Write a SavedModel of a plain function."""
    module = tf.Module()
    module.function = tf.function(call, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder / "plain"), {"serving_default": module.function})
    return folder / "plain"


def write_graph(path: Path, graph: tf.compat.v1.GraphDef) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


def freeze_model(model: Any, folder: Path, spec: Any = SPEC) -> tuple[Path, list[str]]:
    """Write a model as a frozen graph from `pixels:0`; returns the names of its outputs, too."""
    function = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    frozen = freeze(function.get_concrete_function(spec))
    path = write_graph(folder / "mine.pb", frozen.graph.as_graph_def())
    return path, [output.name for output in frozen.outputs]


def as_graph(model: Any, folder: Path) -> Path:
    return freeze_model(model, folder)[0]


def draw_graph(path: Path, build: Callable[[Any], Any], shape: tuple[int | None, ...]) -> Path:
    """Write a graph of today from `pixels:0`, of a shape, to `bottleneck:0`."""
    with tf.Graph().as_default() as graph:
        tf.identity(build(tf.compat.v1.placeholder(tf.float32, shape, "pixels")), "bottleneck")
    return write_graph(path, graph.as_graph_def())


def own(path: Path, scaling: str = "symmetric", **wishes: Any) -> Prepared:
    return prepare_own(BackboneRequest(str(path), scaling=scaling, **wishes), path)


def scaled(scaling: str = "symmetric") -> npt.NDArray[Any]:
    return np.asarray(SCALINGS[scaling].apply(PIXELS.astype(np.float32)))


def features(model: Any, pixels: npt.NDArray[Any], layer: str = "features") -> npt.NDArray[Any]:
    """Compute the output of a layer of the model itself from scaled pixels."""
    return np.asarray(headless(model, layer)(pixels.astype(np.float32), training=False))


def assert_makes(prepared: Prepared, expected: npt.NDArray[Any]) -> None:
    """Its frozen graph makes these bottlenecks of `PIXELS`, and not the same for all photos."""
    assert prepared.backbone.width == expected.shape[1]
    np.testing.assert_allclose(TensorFlowForward.load(prepared)(PIXELS), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - expected[0]).max() > 1e-3


@contextmanager
def untouched_graph(graph: tf.compat.v1.GraphDef) -> Iterator[Compute]:
    """Open a graph as it is in a Session, and yield a function that computes a tensor from the value of another."""
    with tf.Graph().as_default() as opened:
        tf.import_graph_def(graph, name="")
    with closing(tf.compat.v1.Session(graph=opened)) as session:
        yield lambda fetched, fed, value: np.asarray(session.run(fetched, {fed: value}))

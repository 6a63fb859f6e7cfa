"""The graph of 2015, rewritten and in batches, against the untouched one in a Session of TensorFlow 1."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.frozen_graph import frozen_network, input_size, modernise, read_graph
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tests.backbone.growing_graph import SIZE
from tests.backbone.inception import build_graph
from tests.backbone.networks import Compute, draw_graph, freeze_model, untouched_graph, write_graph
from tests.bottleneck.networks import cosines

pytestmark = pytest.mark.slow

BATCH = 8
SMALL = 1 / 64
CONVOLUTIONS = 94

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole topology with few channels; a bottleneck has 33 numbers."""
    return write_graph(tmp_path_factory.mktemp("small") / "graph.pb", build_graph(SMALL))


@pytest.fixture(scope="module")
def untouched(small: Path) -> Iterator[Compute]:
    with untouched_graph(read_graph(small)) as graph:
        yield graph


@pytest.fixture(scope="module")
def pixels() -> Array:
    """A batch of pictures, float32 [8, 299, 299, 3], -1 to 1."""
    coarse = np.random.default_rng(7).uniform(-1, 1, (BATCH, 9, 9, 3))
    return np.asarray(tf.image.resize(coarse, (SIZE, SIZE)), np.float32)


@pytest.fixture(scope="module")
def photos(flower_photos: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(flower_photos.glob("*/*.jpg"))[::80]]


def concrete(path: Path, bottleneck: str, batch: int | None = BATCH) -> Any:
    averages = frozen_network(path, "Mul:0", bottleneck)
    network = tf.function(lambda pixels: averages(pixels)[0], autograph=False)
    return network.get_concrete_function(tf.TensorSpec((batch, SIZE, SIZE, 3), tf.float32))


def bottlenecks(path: Path, bottleneck: str, pixels: Array) -> Array:
    """Run the rewritten graph as the bottleneck stage does: frozen, in a batch of fixed size."""
    return np.asarray(freeze(concrete(path, bottleneck, len(pixels)))(tf.constant(pixels))[0])


def one_by_one(graph: Compute, pixels: Array, fetched: str = "pool_3/_reshape:0") -> Array:
    return np.concatenate([graph(fetched, "Mul:0", photo[None]) for photo in pixels])


def relative(got: Array, expected: Array) -> Array:
    """Length of each row's difference in lengths of the expected row: float64 [N]."""
    return np.asarray(np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1))


@pytest.mark.parametrize(
    ("bottleneck", "fetched", "width"),
    [
        *((name, "pool_3/_reshape:0", 33) for name in ("pool_3:0", "pool_3/_reshape:0", "pool_3/_reshape")),
        ("softmax:0", "softmax:0", 1008),
    ],
)
def test_a_batch_has_the_bottlenecks_and_classes_of_its_photos_one_by_one(
    small: Path, untouched: Compute, pixels: Array, bottleneck: str, fetched: str, width: int
) -> None:
    """Measured: 4.4e-6 of a bottleneck's length at most."""
    got, expected = bottlenecks(small, bottleneck, pixels), one_by_one(untouched, pixels, fetched)
    assert got.shape == expected.shape == (BATCH, width)
    assert got.dtype == np.float32
    assert relative(got, expected).max() < 3e-5
    if bottleneck == "pool_3:0":
        assert relative(np.roll(got, 1, axis=0), expected).min() > 1e-2
        # The batch may stay open.
        assert (function := concrete(small, bottleneck, None)).output_shapes == (None, width)
        assert relative(np.asarray(function(tf.constant(pixels[:3]))), expected[:3]).max() < 3e-5


def test_the_graph_of_full_size_has_the_same_bottlenecks_too(tmp_path: Path, pixels: Array) -> None:
    """Measured: 3.5e-6 of a bottleneck's length at most."""
    path = write_graph(tmp_path / "graph.pb", build_graph())
    assert path.stat().st_size == pytest.approx(95.7e6, rel=1e-3)
    with untouched_graph(read_graph(path)) as untouched:
        expected = one_by_one(untouched, pixels[:2])
    got = np.asarray(concrete(path, "pool_3:0", 2)(tf.constant(pixels[:2])))
    assert got.shape == (2, 2048)
    assert relative(got, expected).max() < 3e-5


def test_feature_maps_of_the_old_graph_are_averaged_beside_its_bottleneck(
    small: Path, untouched: Compute, pixels: Array
) -> None:
    tensors = ("pool_3:0", "mixed_8/join:0", "mixed_9/join:0")
    network = tf.function(frozen_network(small, "Mul:0", *tensors), autograph=False)
    averages = network(tf.constant(pixels[:2]))
    for tensor, got in zip(tensors, averages, strict=True):
        maps = one_by_one(untouched, pixels[:2], tensor)
        assert relative(np.asarray(got), maps.mean((1, 2))).max() < 3e-5


def test_tensorflow_computes_convolution_offset_and_relu_in_one_go(small: Path) -> None:
    from tensorflow.python.eager import context  # noqa: PLC0415 (after the quiet import of TensorFlow)

    function = freeze(concrete(small, "pool_3:0"))
    context.context().enable_run_metadata()
    try:
        function(tf.zeros((BATCH, SIZE, SIZE, 3)))
        ran = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_run_metadata()
    ops = Counter(node.op for graph in ran for node in graph.post_optimization_graph.node)
    assert ops["_FusedConv2D"] == CONVOLUTIONS
    assert not ops.keys() & {"Conv2D", "BiasAdd", "Relu", "Identity", "CheckNumerics", "Mul", "AddV2"}


def test_photos_have_the_bottlenecks_that_the_untouched_graph_makes_of_their_jpeg_bytes(
    small: Path, untouched: Compute, photos: list[bytes]
) -> None:
    """The untouched graph decodes the JPEG for both, up to `Mul:0`: only the rewriting differs."""
    sample = photos[::3][:BATCH]
    expected = np.concatenate([untouched("pool_3/_reshape:0", "DecodeJpeg/contents:0", photo) for photo in sample])
    fed = np.concatenate([untouched("Mul:0", "DecodeJpeg/contents:0", photo) for photo in sample])
    assert relative(bottlenecks(small, "pool_3:0", fed), expected).max() < 3e-5


def test_decoding_by_pillow_changes_a_bottleneck_by_little(untouched: Compute, photos: list[bytes]) -> None:
    """Cosines with the untouched graph's bottleneck from the JPEG bytes, measured over every 50th photo (40).

    | what differs                            | mean, small | least | mean, full size | least |
    |-----------------------------------------|-------------|-------|-----------------|-------|
    | Pillow decodes, TensorFlow resizes      | 0.9973      | 0.972 | 0.9974          | 0.992 |
    | TensorFlow decodes, Pillow resizes      | 0.9994      | 0.993 | 0.9994          | 0.993 |
    | our chain, 18 photos without a profile  | 0.9967      | 0.982 | 0.9971          | 0.991 |
    | our chain, all, 22 with colour profiles | 0.9952      | 0.961 | 0.9927          | 0.933 |
    | another photo                           | 0.75        | 0.33  | 0.87            | 0.74  |

    The largest part is that our chain turns a photo's colour profile into sRGB, which the old graph ignores; JPEG 95
    in the decoded store adds nothing to be seen.
    """
    settings = DecodeSettings(SIZE, SIZE, "bilinear", "jpeg", "stretch")
    expected = np.concatenate([untouched("pool_3/_reshape:0", "DecodeJpeg/contents:0", photo) for photo in photos])
    pixels = np.stack([read_pixels(decode_photo(photo, settings).image) for photo in photos]).astype(np.float32)
    got = one_by_one(untouched, (pixels - 128) / 128)
    assert cosines(got, expected).mean() > 0.985
    distances = np.linalg.norm(got[:, None] - expected[None], axis=2)
    assert (distances.argmin(axis=1) == np.arange(len(photos))).mean() > 0.9


def test_a_graph_of_today_comes_out_as_it_was(tmp_path: Path, pixels: Array) -> None:
    layers = [keras.layers.Conv2D(6, 3, strides=4), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers, keras.layers.GlobalAveragePooling2D()])
    model.set_weights([np.random.default_rng(1).uniform(0.1, 1, weight.shape) for weight in model.weights])
    spec = tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="pixels")
    path, [output] = freeze_model(model, tmp_path, spec)
    network = tf.function(frozen_network(path, "pixels", output), autograph=False)
    np.testing.assert_allclose(network(pixels)[0], model(pixels, training=False), rtol=1e-5)
    assert input_size(path, "pixels:0") == SIZE


@pytest.mark.parametrize(("tensor", "size"), [("Mul:0", 64), ("DecodeJpeg:0", SIZE)])
def test_pixels_that_a_graph_does_not_take_are_named(small: Path, tensor: str, size: int) -> None:
    network = tf.function(frozen_network(small, tensor, "pool_3:0"), autograph=False)
    with pytest.raises(BackboneError, match=rf"{tensor} does not take float32 pixels \(2, {size}, {size}, 3\)"):
        network(tf.zeros((2, size, size, 3)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda pixels: tf.reshape(pixels, (1, -1)), "is \\(1, 96\\) for 2 photos: the graph is made for another"),
        (lambda pixels: tf.argmax(pixels, 3), "is int64 .*, and no vector of fixed length"),
        (tf.reduce_sum, "is float32 \\(\\), and no vector of fixed length"),
    ],
)
def test_error_names_a_result_that_is_not_one_vector_a_photo(
    tmp_path: Path, build: Callable[[tf.Tensor], tf.Tensor], message: str
) -> None:
    path = draw_graph(tmp_path / "graph.pb", build, (1, 4, 4, 3))
    network = tf.function(frozen_network(path, "pixels:0", "bottleneck:0"), autograph=False)
    with pytest.raises(BackboneError, match=f"bottleneck:0 {message}"):
        network(tf.zeros((2, 4, 4, 3)))


def test_a_batch_norm_of_2015_whose_statistics_are_not_constants_is_named_and_the_graph_is_not_changed(
    small: Path,
) -> None:
    graph = read_graph(small)
    norm = next(node for node in graph.node if node.name == "conv/batchnorm")
    graph.node.add(name="deviation", op="Neg", input=["conv/batchnorm/gamma"]).attr["T"].type = 1
    norm.input[2] = "deviation"
    before = graph.SerializeToString(deterministic=True)
    with pytest.raises(BackboneError, match=r"does not have: BatchNormWithGlobalNormalization \(conv/batchnorm\)"):
        modernise(graph, "Mul:0", "pool_3:0")
    assert graph.SerializeToString(deterministic=True) == before, "the graph that is given stays as it was"

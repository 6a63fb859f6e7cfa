"""A stand-in for the graph of inception_dec_2015.zip: its ops, names and topology, and random weights.

Node by node as the real one was written in 2015: batch-norms of an op that TensorFlow has removed since, a check and a
control dependency after each, the old Concat, shapes for a batch of one, and a producer version that is older than all
of that. So what works on this file works on the real one.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.runtime.tensorflow_import import tf
from tests.backbone.growing_graph import SIZE, GrowingGraph

CLASSES = 1008
GRAPH_MEMBER = "tensorflow_inception_graph.pb"


def build_graph(widths: float = 1.0, seed: int = 0) -> tf.compat.v1.GraphDef:
    """Build a frozen graph from `DecodeJpeg/contents:0` over `Mul:0`, `pool_3:0`, `pool_3/_reshape:0` to `softmax:0`.

    `widths` multiplies the channels of every layer; 1 is Inception-v3, whose bottleneck has 2,048 numbers.
    """
    network = GrowingGraph(widths, seed)
    x = _stem(network, _pixels(network))
    towers = {"": [(64, 1, 1)], "/tower": [(48, 1, 1), (64, 5, 5)], "/tower_1": [(64, 1, 1), (96, 3, 3), (96, 3, 3)]}
    for name, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        x = _mixed(network, name, x, towers, pooled)
    x = _halving(network, "mixed_3", x, {"": [(384, 3, 3)], "/tower": [(64, 1, 1), (96, 3, 3), (96, 3, 3)]})
    for name, n in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        long = [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)]
        towers = {"": [(192, 1, 1)], "/tower": [(n, 1, 1), (n, 1, 7), (192, 7, 1)], "/tower_1": long}
        x = _mixed(network, name, x, towers, 192)
    towers = {"/tower": [(192, 1, 1), (320, 3, 3)], "/tower_1": [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)]}
    x = _halving(network, "mixed_8", x, towers)
    for name, pool in (("mixed_9", "AvgPool"), ("mixed_10", "MaxPool")):
        x = _mixed_8x8(network, name, x, pool)
    _classes(network, network.pool(x, "pool_3", "AvgPool", kernel=8, stride=1, padding="VALID"))
    return network.graph


def zip_graph(folder: Path, graph: tf.compat.v1.GraphDef) -> Path:
    """Write `inception_dec_2015.zip` with the members that the real one has, and return its path."""
    path = folder / "inception_dec_2015.zip"
    labels = "".join(f"label {number}\n" for number in range(CLASSES))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("imagenet_comp_graph_label_strings.txt", labels)
        archive.writestr("LICENSE", "A stand-in with random weights: do with it what you like.\n")
        archive.writestr(GRAPH_MEMBER, graph.SerializeToString())
    return path


def _pixels(network: GrowingGraph) -> str:
    """A photo's JPEG bytes to pixels of about -1 to 1, [1, 299, 299, 3]."""
    add = network.node
    contents = add("DecodeJpeg/contents", "Placeholder", dtype=tf.string)
    options = {"fancy_upscaling": True, "try_recover_truncated": False, "acceptable_fraction": 1.0}
    photo = add("DecodeJpeg", "DecodeJpeg", [contents], channels=3, ratio=1, **options)
    real = add("Cast", "Cast", [photo], SrcT=tf.uint8, DstT=tf.float32)
    batch = add("ExpandDims", "ExpandDims", [real, network.constant("ExpandDims/dim", 0, np.int32)], T=tf.float32)
    size = network.constant("ResizeBilinear/size", [SIZE, SIZE], np.int32)
    resized = add("ResizeBilinear", "ResizeBilinear", [batch, size], T=tf.float32, align_corners=False)
    centred = add("Sub", "Sub", [resized, network.constant("Sub/y", 128.0)], T=tf.float32)
    scaled = add("Mul", "Mul", [centred, network.constant("Mul/y", 1 / 128)], T=tf.float32)
    return network.see(scaled, tf.constant(network.pictures()))


def _stem(network: GrowingGraph, x: str) -> str:
    """299 x 299 to 35 x 35."""
    conv, pool = network.conv, network.pool
    x = conv(x, "conv", 32, (3, 3), stride=2, padding="VALID")
    x = conv(x, "conv_1", 32, (3, 3), padding="VALID")
    x = conv(x, "conv_2", 64, (3, 3))
    x = pool(x, "pool", "MaxPool", stride=2, padding="VALID")
    x = conv(x, "conv_3", 80, padding="VALID")
    x = conv(x, "conv_4", 192, (3, 3), padding="VALID")
    return pool(x, "pool_1", "MaxPool", stride=2, padding="VALID")


#: Channels, and height and width of the kernel.
Layer = tuple[int, int, int]


def _chain(network: GrowingGraph, x: str, name: str, layers: Sequence[Layer], **last: Any) -> str:
    """Convolutions in a row, called `conv`, `conv_1` and so on below a name; the last one may have options."""
    for index, (channels, height, width) in enumerate(layers):
        options = last if index == len(layers) - 1 else {}
        x = network.conv(x, f"{name}/conv_{index}" if index else f"{name}/conv", channels, (height, width), **options)
    return x


def _mixed(network: GrowingGraph, name: str, x: str, towers: dict[str, list[Layer]], pooled: int) -> str:
    """Towers of convolutions beside one of an average."""
    branches = [_chain(network, x, f"{name}{tower}", layers) for tower, layers in towers.items()]
    return network.join([*branches, _pooled(network, x, name, "AvgPool", pooled)], name)


def _halving(network: GrowingGraph, name: str, x: str, towers: dict[str, list[Layer]]) -> str:
    """Towers of convolutions beside one of a maximum, to half the height and width."""
    branches = [
        _chain(network, x, f"{name}{tower}", layers, stride=2, padding="VALID") for tower, layers in towers.items()
    ]
    return network.join([*branches, network.pool(x, f"{name}/pool", "MaxPool", stride=2, padding="VALID")], name)


def _pooled(network: GrowingGraph, x: str, name: str, op: str, channels: int) -> str:
    pooled = network.pool(x, f"{name}/tower_2/pool", op, stride=1, padding="SAME")
    return network.conv(pooled, f"{name}/tower_2/conv", channels)


def _mixed_8x8(network: GrowingGraph, name: str, x: str, pool: str) -> str:
    branches = [network.conv(x, f"{name}/conv", 320)]
    for tower, layers in {"tower": [(384, 1, 1)], "tower_1": [(448, 1, 1), (384, 3, 3)]}.items():
        y = _chain(network, x, f"{name}/{tower}", layers)
        branches.append(network.conv(y, f"{name}/{tower}/mixed/conv", 384, (1, 3)))
        branches.append(network.conv(y, f"{name}/{tower}/mixed/conv_1", 384, (3, 1)))
    return network.join([*branches, _pooled(network, x, name, pool, 192)], name)


def _classes(network: GrowingGraph, pooled: str) -> None:
    add = network.node
    width = sum(network.width(channels) for channels in (320, 384, 384, 384, 384, 192))
    shape = network.constant("pool_3/_reshape/shape", [1, width], np.int32)
    bottleneck = add("pool_3/_reshape", "Reshape", [pooled, shape], T=tf.float32)
    random = np.random.default_rng(0)
    weights = network.constant("softmax/weights", random.normal(0, 0.02, (width, CLASSES)))
    product = add("softmax/logits/MatMul", "MatMul", [bottleneck, weights], T=tf.float32)
    biases = network.constant("softmax/biases", random.normal(0, 0.1, CLASSES))
    logits = add("softmax/logits", "BiasAdd", [product, biases], T=tf.float32)
    add("softmax", "Softmax", [logits], T=tf.float32)

"""A graph that grows node by node, as TensorFlow wrote graphs in 2015."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.runtime.tensorflow_import import tf

SIZE = 299
EPSILON = 1e-3
#: Below 9, the GraphDef version that removed the batch-norms of then.
PRODUCER = 8
#: The least number of channels of a layer, however small the widths.
LEAST_WIDTH = 4

Array = npt.NDArray[np.float32]


class GrowingGraph:
    """A graph that grows, and the activations of a few drawn pictures, from which batch-norms take their statistics.

    With other statistics, some fifty layers of random weights make the bottlenecks of all photos alike. Methods that
    add a node return its name.

    Args:
        widths: Multiplies the channels of every layer.
        seed: Of the weights.
    """

    def __init__(self, widths: float, seed: int) -> None:
        self.graph = tf.compat.v1.GraphDef()
        self.graph.versions.producer = PRODUCER
        self._widths = widths
        self._random = np.random.default_rng(seed)
        self._activations: dict[str, tf.Tensor] = {}
        # Whether gamma counts is the op's attribute: here it does in one layer and does not in the next.
        self._scaled: Iterator[bool] = cycle((True, False))

    def width(self, channels: int) -> int:
        """Scale a number of channels."""
        return max(LEAST_WIDTH, round(channels * self._widths))

    def node(self, name: str, op: str, inputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node of any op."""
        node = self.graph.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(_attribute(value))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Add a constant."""
        tensor = tf.make_tensor_proto(np.asarray(value, dtype))
        return self.node(name, "Const", dtype=tf.as_dtype(dtype), value=tensor)

    def see(self, name: str, activations: tf.Tensor) -> str:
        """Remember the activations of a node for the drawn pictures."""
        self._activations[name] = activations
        return name

    def pictures(self, count: int = 8) -> Array:
        """Draw pictures with the most contrast in the large, as photos have: float32 [count, 299, 299, 3], -1 to 1."""
        pictures = np.zeros((count, SIZE, SIZE, 3), np.float32)
        for side, contrast in ((1, 0.8), (3, 0.8), (9, 0.6), (30, 0.4), (100, 0.2)):
            small = self._random.uniform(-contrast, contrast, (count, side, side, 3))
            pictures += np.asarray(tf.image.resize(small, (SIZE, SIZE), "bicubic"))
        return pictures.clip(-1, 1)

    def filters(self, shape: tuple[int, int, int, int]) -> Array:
        """Draw filters as He et al. (2015) do, but smooth: otherwise a decoder's noise grows from layer to layer."""
        smooth, rough = self._random.normal(0, 1, (1, 1, *shape[2:])), self._random.normal(0, 1, shape)
        return np.asarray((0.6 * smooth + 0.8 * rough) * np.sqrt(2 / np.prod(shape[:3])), np.float32)

    def conv(
        self,
        x: str,
        name: str,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        stride: int = 1,
        padding: str = "SAME",
    ) -> str:
        """Add a convolution, its batch-norm, a check with a control dependency, and a ReLU."""
        filters = self.filters((*kernel, self._activations[x].shape[-1], self.width(channels)))
        parameters = self.constant(f"{name}/conv2d_params", filters)
        options = {"strides": [1, stride, stride, 1], "padding": padding, "use_cudnn_on_gpu": True}
        convolved = self.node(f"{name}/Conv2D", "Conv2D", [x, parameters], T=tf.float32, **options)
        y = tf.nn.conv2d(self._activations[x], filters, stride, padding)
        normalised, y = self._batch_norm(convolved, f"{name}/batchnorm", y)
        message = f"{name} is off"
        check = self.node(f"{name}/CheckNumerics", "CheckNumerics", [normalised], T=tf.float32, message=message)
        held = self.node(f"{name}/control_dependency", "Identity", [normalised, f"^{check}"], T=tf.float32)
        return self.see(self.node(name, "Relu", [held], T=tf.float32), tf.nn.relu(y))

    def _batch_norm(self, x: str, name: str, y: tf.Tensor) -> tuple[str, tf.Tensor]:
        scaled = next(self._scaled)
        mean, variance = (np.asarray(each) for each in tf.nn.moments(y, (0, 1, 2)))
        drawn = self._random.uniform((0.7, 0.7, -0.2, -0.2), (1.3, 1.3, 0.2, 0.2), (len(mean), 4)).astype(np.float32)
        spread, gamma, beta, shift = drawn.T
        values = {
            "moving_mean": 0.7 * mean + shift * np.sqrt(variance),
            "moving_variance": variance * spread,
            "beta": beta,
            "gamma": gamma,
        }
        inputs = [x, *(self.constant(f"{name}/{each}", value) for each, value in values.items())]
        options = {"variance_epsilon": EPSILON, "scale_after_normalization": scaled}
        self.node(name, "BatchNormWithGlobalNormalization", inputs, T=tf.float32, **options)
        ordered = values["moving_mean"], values["moving_variance"], beta, gamma if scaled else None
        return name, tf.nn.batch_normalization(y, *ordered, EPSILON)

    def pool(self, x: str, name: str, op: str, *, kernel: int = 3, stride: int, padding: str) -> str:
        """Add an AvgPool or MaxPool."""
        options = {"ksize": [1, kernel, kernel, 1], "strides": [1, stride, stride, 1], "padding": padding}
        self.node(name, op, [x], T=tf.float32, **options)
        kind = op.removesuffix("Pool").upper()
        return self.see(name, tf.nn.pool(self._activations[x], (kernel,) * 2, kind, (stride,) * 2, padding))

    def join(self, branches: Sequence[str], name: str) -> str:
        """Add the old Concat of channels, whose axis comes first, as `<name>/join`."""
        axis = self.constant(f"{name}/join/concat_dim", 3, np.int32)
        self.node(f"{name}/join", "Concat", [axis, *branches], T=tf.float32, N=len(branches))
        return self.see(f"{name}/join", tf.concat([self._activations[branch] for branch in branches], 3))


def _attribute(value: Any) -> tf.compat.v1.AttrValue:
    if isinstance(value, list):
        return tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(i=value))
    if isinstance(value, tf.DType):
        return tf.compat.v1.AttrValue(type=value.as_datatype_enum)
    if isinstance(value, str):
        return tf.compat.v1.AttrValue(s=value.encode())
    return tf.compat.v1.AttrValue(**{{bool: "b", int: "i", float: "f"}.get(type(value), "tensor"): value})

"""How a network wants its pixels: from 0 to 255 as RGB to whatever it was trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: ImageNet's mean and standard deviation of each channel, as torchvision and Keras' mode `torch` have them.
_MEAN, _DEVIATION = np.array(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), np.float32)
#: ImageNet's mean of blue, green and red, as Caffe and Keras' mode `caffe` have it.
_CAFFE_MEAN = np.array((103.939, 116.779, 123.68), np.float32)


@dataclass(frozen=True)
class Scaling:
    """One way to scale pixels.

    Args:
        formula: What it does, for people.
        apply: Does it: float32 [..., 3], RGB, 0 to 255, as an array or a tensor, to the same shape and kind.
    """

    formula: str
    apply: Callable[[Any], Any]


#: By the name that `--scaling` and the catalog take.
SCALINGS = {
    "raw": Scaling("x", lambda x: x),
    "unit": Scaling("x / 255", lambda x: x / 255.0),
    "symmetric": Scaling("x / 127.5 - 1", lambda x: x / 127.5 - 1.0),
    "inception": Scaling("(x - 128) / 128", lambda x: (x - 128.0) / 128.0),
    "lite": Scaling("(x - 127) / 128", lambda x: (x - 127.0) / 128.0),
    "torch": Scaling("(x / 255 - mean) / deviation of ImageNet", lambda x: (x / 255.0 - _MEAN) / _DEVIATION),
    "caffe": Scaling("BGR, x - mean of ImageNet", lambda x: x[..., ::-1] - _CAFFE_MEAN),
}
#: A model of keras.applications brings its own `preprocess_input`.
OWN = "own"

"""Scales pixels from 0 to 255 to the range that a network was trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: ImageNet's mean and standard deviation of each channel, as in torchvision and Keras' mode `torch`.
_MEAN, _DEVIATION = np.array(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), np.float32)
#: Mean and standard deviation of each channel of OpenAI's CLIP (Radford et al. 2021).
_CLIP_MEAN, _CLIP_DEVIATION = np.array(
    ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)), np.float32
)
#: ImageNet's mean of blue, green and red, as in Caffe and Keras' mode `caffe`.
_CAFFE_MEAN = np.array((103.939, 116.779, 123.68), np.float32)


@dataclass(frozen=True)
class Scaling:
    """A scaling of pixels."""

    formula: str  #: Formula for people.
    use: str  #: Models that it is for; empty for one that users cannot need.
    #: Function from float32 [..., 3], RGB, 0 to 255, an array or a tensor, to the same shape and kind.
    apply: Callable[[Any], Any]


_CLIP = "(x / 255 - mean) / deviation of CLIP"
_CAFFE_USE = "trained with Caffe, and Keras' ResNet and VGG"
_TORCH = "(x / 255 - mean) / deviation of ImageNet"
#: Scalings by their names in `--scaling` and the catalog.
SCALINGS = {
    "raw": Scaling("x", "it scales by itself", lambda x: x),
    "unit": Scaling("x / 255", "0 to 1", lambda x: x / 255.0),
    "symmetric": Scaling("x / 127.5 - 1", "-1 to 1", lambda x: x / 127.5 - 1.0),
    "inception": Scaling("(x - 128) / 128", "the Inception of 2015", lambda x: (x - 128.0) / 128.0),
    "lite": Scaling("(x - 127) / 128", "", lambda x: (x - 127.0) / 128.0),
    "torch": Scaling(_TORCH, "trained with PyTorch", lambda x: (x / 255.0 - _MEAN) / _DEVIATION),
    "clip": Scaling(_CLIP, "OpenAI's CLIP", lambda x: (x / 255.0 - _CLIP_MEAN) / _CLIP_DEVIATION),
    "caffe": Scaling("BGR, x - mean of ImageNet", _CAFFE_USE, lambda x: x[..., ::-1] - _CAFFE_MEAN),
}
#: Scaling of keras.applications: the model's own `preprocess_input`.
OWN = "own"

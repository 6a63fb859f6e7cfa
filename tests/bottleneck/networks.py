"""Networks and pictures for the tests of the forward passes."""

from pathlib import Path

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Vectors
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.progress import NullProgress
from tasks.synthetic.composition import draw_photo


def lite(size: int) -> Prepared:
    """Return EfficientNet-Lite0 for pictures of this size; a package has its weights, so that no folder is needed."""
    return prepare_backbone(BackboneRequest("efficientnet_lite0", size=size), Path(), NullProgress())


def singular_values(folder: Path, size: int) -> Prepared:
    """Save a network that only TensorFlow can compute: the singular values of a picture's red channel."""
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (a test shows that some forward passes need none)

    module = tf.Module()
    module.call = tf.function(
        lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False),
        autograph=False,
        input_signature=[tf.TensorSpec((None, size, size, 3), tf.float32)],
    )
    path = folder / "singular"
    tf.saved_model.save(module, str(path), signatures=module.call.get_concrete_function())
    return prepare_backbone(BackboneRequest(str(path), scaling="raw"), path, NullProgress())


def draw_pictures(numbers: range, size: int) -> Pixels:
    """Draw photos and decode them: uint8 [N, size, size, 3]."""
    decode = DecodeSettings(size, size)
    return np.stack([read_pixels(decode_photo(draw_photo(number), decode).image) for number in numbers])


def cosines(one: Vectors, other: Vectors) -> Vectors:
    """Return the cosine of the angle between each two vectors, [N, D], of a photo: [N]."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    similarities: Vectors = (one * other).sum(axis=1) / lengths
    return similarities

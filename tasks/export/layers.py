"""Layers of an exported model that Keras does not have: from photos' files to pixels, and to the best label.

This file is copied beside model.keras as photo_layers.py. Import it before you load the model. It needs only Keras and
TensorFlow.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

#: TensorFlow's names of Pillow's filters.
KERNELS = {"bicubic": "keyscubic", "bilinear": "triangle", "lanczos": "lanczos3"}
#: Bytes at the beginning of a JPEG that are searched for its Exif; a segment has at most 65,535.
_HEAD = 2**18
#: Beginning of a segment with Exif: 0xFF, the marker APP1, any length in two bytes, and a name.
_EXIF = (0xFF, 0xE1, -1, -1, *b"Exif\0\0")
_START_OF_SCAN, _ORIENTATION, _SHORT = 0xDA, 0x0112, 3
#: Entries of an Exif that are searched; cameras write some twenty.
_ENTRIES = 128


@keras.saving.register_keras_serializable(package="photo_layers")
class PhotoDecoder(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Decodes photos' files, string [N], JPEG or PNG, to pixels, float32 [N, size, size, 3], RGB, 0 to 255.

    It turns a photo upright by its Exif, puts transparent pixels on white, and resizes and crops in one step.

    Args:
        size: Height and width of the result in pixels.
        resize: Pixels of the photo's short side before the square is cropped from its centre.
        crop: `centre`, or `stretch`, which squeezes the whole photo into the square.
        resampling: The filter: `bicubic`, `bilinear` or `lanczos`.
        encoding: `jpeg` compresses the result and decodes it again, like the pictures that the network was trained on;
            `png` does not.
        options: Options of Keras' layers.
    """

    def __init__(self, size: int, resize: int, crop: str, resampling: str, encoding: str, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.resize, self.crop, self.resampling, self.encoding = size, resize, crop, resampling, encoding
        self.supports_jit = False  # XLA has no strings

    def call(self, inputs: Any) -> Any:
        """Decode each photo."""
        square = tf.TensorSpec((self.size, self.size, 3), tf.uint8)
        return tf.cast(tf.map_fn(self._decode, inputs, fn_output_signature=square), tf.float32)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return shape and type of the result of `call`."""
        return keras.KerasTensor((*inputs.shape, self.size, self.size, 3), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the settings, for the file of a model."""
        own = {name: getattr(self, name) for name in ("size", "resize", "crop", "resampling", "encoding")}
        return {**super().get_config(), **own}

    def _decode(self, photo: Any) -> Any:
        square = tf.cond(tf.io.is_jpeg(photo), lambda: self._from_jpeg(photo), lambda: self._from_png(photo))
        if self.encoding == "jpeg":
            stored = tf.io.encode_jpeg(square, format="rgb", quality=95, chroma_downsampling=False)
            square = tf.io.decode_jpeg(stored, 3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(square, (self.size, self.size, 3))

    def _from_jpeg(self, photo: Any) -> Any:
        """Decode a JPEG, at a fraction of its size if that is still twice the needed size, and turn it upright."""
        height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(photo))
        spare = tf.minimum(height, width) // (2 * self.resize)
        ratios = (1, 2, 4, 8)
        branch = tf.reduce_sum(tf.cast(spare >= ratios[1:], tf.int32))
        pixels = tf.switch_case(branch, [_jpeg_decoder(photo, ratio) for ratio in ratios])
        extent = tf.cast((height, width), tf.float32) / tf.cast(2**branch, tf.float32)
        square, turned = self._square(pixels, extent), orientation(photo)
        return tf.cond(turned > 1, lambda: _upright(square, turned), lambda: square)

    def _from_png(self, photo: Any) -> Any:
        # All channels of the file: with four requested, TensorFlow makes photos of fewer than 8 bits transparent.
        pixels = tf.cast(tf.io.decode_png(photo), tf.float32)
        height, width, channels = tf.unstack(tf.shape(pixels))
        transparent = channels % 2 == 0
        colours = pixels[..., : channels - tf.cast(transparent, tf.int32)]
        opaque = tf.cond(transparent, lambda: pixels[..., -1:] / 255.0, lambda: tf.ones_like(pixels[..., :1]))
        on_white = tf.cast(tf.round(colours * opaque + 255.0 * (1.0 - opaque)), tf.uint8)
        return self._square(tf.broadcast_to(on_white, (height, width, 3)), tf.cast((height, width), tf.float32))

    def _square(self, pixels: Any, extent: Any) -> Any:
        """Resize and crop pixels, uint8 [H, W, 3]; `extent`: height and width of the photo in pixels, float32 [2]."""
        box = extent
        if self.crop == "centre":
            short = tf.reduce_min(extent)
            box = tf.fill((2,), tf.minimum(short * (self.size / self.resize), short))
        scale = self.size / box
        shift = (box - extent) / 2 * scale
        # Rows first, rounded, then columns, like Pillow.
        across = self._resample(pixels, (tf.shape(pixels)[0], self.size), (1.0, scale[1]), (0.0, shift[1]))
        return self._resample(across, (self.size, self.size), (scale[0], 1.0), (shift[0], 0.0))

    def _resample(self, pixels: Any, size: Sequence[Any], scale: Sequence[Any], shift: Sequence[Any]) -> Any:
        resampled = tf.raw_ops.ScaleAndTranslate(
            images=pixels[None],
            size=tf.stack(size),
            scale=tf.stack(scale),
            translation=tf.stack(shift),
            kernel_type=KERNELS[self.resampling],
            antialias=True,
        )
        return tf.saturate_cast(tf.round(resampled[0]), tf.uint8)


@keras.saving.register_keras_serializable(package="photo_layers")
class BestLabel(keras.layers.Layer):  # type: ignore[misc]  # as above
    """Returns the label, string [N], with the largest of the probabilities, float32 [N, C], of C labels."""

    def __init__(self, labels: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.labels = list(labels)
        self.supports_jit = False

    def call(self, inputs: Any) -> Any:
        """Look the label up."""
        return tf.gather(tf.constant(self.labels), tf.argmax(inputs, axis=-1))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return shape and type of the result of `call`."""
        return keras.KerasTensor(inputs.shape[:-1], "string")

    def get_config(self) -> dict[str, Any]:
        """Return the labels, for the file of a model."""
        return {**super().get_config(), "labels": self.labels}


def orientation(photo: Any) -> Any:
    """Read the orientation of a JPEG, a string: Exif 2.3, tag 0x0112.

    Returns:
        int32: 1 to 8; 1, which is upright, if it has no orientation, or its Exif is damaged.
    """
    start = tf.io.decode_raw(tf.strings.substr(photo, 0, _HEAD), tf.uint8)
    # Padded with zeros, so that no read goes beyond the end.
    head = tf.concat([start, tf.zeros(12 * _ENTRIES, tf.uint8)], 0)
    exif = _exif_start(head)
    return tf.cond(exif > 0, lambda: _exif_orientation(head, exif), lambda: tf.constant(1))


def _exif_start(head: Any) -> Any:
    """Return the index of the Exif of a JPEG in its first bytes, uint8 [B]; 0 if there is none."""
    begin = tf.constant(_EXIF)

    def step(index: Any, _: Any, __: Any) -> tuple[Any, Any, Any]:
        ahead = _read(head, index, len(_EXIF))
        is_exif = tf.reduce_all((ahead == begin) | (begin < 0))
        # Every segment begins with 0xFF; the Exif comes before the first scan.
        is_segment = (ahead[0] == 0xFF) & (ahead[1] != _START_OF_SCAN) & (index < tf.size(head))
        after = index + tf.where(is_exif, len(_EXIF), 2 + 256 * ahead[2] + ahead[3])
        return after, is_exif, is_segment & ~is_exif

    found = tf.while_loop(lambda _, __, goes_on: goes_on, step, (tf.constant(2), tf.constant(False), tf.constant(True)))
    return tf.where(found[1], found[0], 0)


def _exif_orientation(head: Any, exif: Any) -> Any:
    """Read the orientation from the Exif at an index, a TIFF file with offsets that count from there."""
    big = tf.equal(_read(head, exif, 1)[0], ord("M"))
    directory = exif + _number(_read(head, exif + 4, 4), big)
    count = _number(_read(head, directory, 2), big)
    # An entry: tag and type in two bytes each, a count in four, and the value.
    entries = tf.reshape(_read(head, directory + 2, 12 * _ENTRIES), (_ENTRIES, 12))
    found = (_number(entries[:, :2], big) == _ORIENTATION) & (_number(entries[:, 2:4], big) == _SHORT)
    found &= tf.range(_ENTRIES) < count
    turned = tf.reduce_max(tf.where(found, _number(entries[:, 8:10], big), 0))
    return tf.where((turned >= 1) & (turned <= 8), turned, 1)


def _read(head: Any, index: Any, length: int) -> Any:
    """Read bytes at an index, int32 [length]; beyond the end, the last bytes."""
    return tf.cast(tf.slice(head, [tf.clip_by_value(index, 0, tf.size(head) - length)], [length]), tf.int32)


def _number(digits: Any, big: Any) -> Any:
    """Convert bytes to unsigned numbers: int32 [..., L] to int32 [...]."""
    powers = tf.constant([256**power for power in range(digits.shape[-1])], tf.int32)
    return tf.reduce_sum(digits * tf.where(big, powers[::-1], powers), axis=-1)


def _upright(square: Any, turned: Any) -> Any:
    """Turn a square upright: transpose it, then flip left and right, then top and bottom, as far as needed."""

    def where(orientations: Sequence[int], change: Any, pixels: Any) -> Any:
        return tf.where(tf.reduce_any(turned == orientations), change(pixels), pixels)

    square = where((5, 6, 7, 8), lambda pixels: tf.transpose(pixels, (1, 0, 2)), square)
    square = where((2, 3, 6, 7), lambda pixels: pixels[:, ::-1], square)
    return where((3, 4, 7, 8), lambda pixels: pixels[::-1], square)


def _jpeg_decoder(photo: Any, ratio: int) -> Any:
    return lambda: tf.io.decode_jpeg(photo, 3, ratio, dct_method="INTEGER_ACCURATE")

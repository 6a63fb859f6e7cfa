"""The forward pass in int8: a backbone quantised once, then run by LiteRT, which needs no TensorFlow.

Weights are rounded to 8 bits a channel, activations to 8 bits a tensor (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877). The range of each activation is measured on pictures that are drawn here, the same
for everybody, and not on the user's photos: so what comes out for a photo depends on the backbone and the photo alone.
"""

import queue
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.kept_network import kept_network
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, PipelineError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.capture_stderr import capture_stderr
from tasks.synthetic.composition import draw_photo

#: 25 drawn pictures measured the ranges as well as 100 drawn or 100 real ones: cosine to float32 0.993, 0.993, 0.992.
CALIBRATION_PICTURES = 25
#: Photos that a thread takes at a time; each goes through the network alone, which was as fast as four at once.
PHOTOS_AT_A_TIME = 16


class Int8Forward:
    """Turns pixels into bottlenecks by an int8 network; each of the threads that call it gets a core.

    Args:
        network: A TFLite model: pixels, uint8 [1, size, size, 3], to float32 [1, D], or to several of them, which are
            joined.
        workers: Threads that may call it at once.
    """

    def __init__(self, network: bytes, workers: int) -> None:
        self.batch_size, self.workers = PHOTOS_AT_A_TIME, workers
        self._free: queue.SimpleQueue[Interpreter] = queue.SimpleQueue()
        with capture_stderr():
            for _ in range(workers):
                interpreter = Interpreter(model_content=network, num_threads=1)
                interpreter.allocate_tensors()
                self._free.put(interpreter)
        self._pixels = interpreter.get_input_details()[0]["index"]
        self._layers = [output["index"] for output in interpreter.get_output_details()]

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Compute bottlenecks.

        Args:
            pixels: uint8 [N, size, size, 3], RGB, 0 to 255.

        Returns:
            float32 [N, D].
        """
        interpreter = self._free.get()
        try:
            return np.concatenate([self._one(interpreter, photo) for photo in pixels])
        finally:
            self._free.put(interpreter)

    def _one(self, interpreter: Interpreter, photo: Pixels) -> npt.NDArray[np.float32]:
        interpreter.set_tensor(self._pixels, photo[None])
        interpreter.invoke()
        return np.concatenate([interpreter.get_tensor(layer) for layer in self._layers], axis=1)


def int8_network(prepared: Prepared, decode: DecodeSettings, folder: AnyPath, progress: Progress) -> bytes:
    """Quantise a backbone, or read what was quantised before.

    Args:
        prepared: The backbone.
        decode: How its pictures are made.
        folder: Where the network is kept: `int8-<hash of its bytes>.tflite`.
        progress: Told of what is imported for it.

    Returns:
        The TFLite model that `Int8Forward` takes.

    Raises:
        BackboneError: The weights are missing or not as they should be, or LiteRT cannot compute the network in int8.
        DamagedError: The network that is kept is damaged.
    """

    def quantise_here() -> bytes:
        with progress.preparing("imports"):
            import tasks.runtime.tensorflow_import  # noqa: F401 (takes seconds, which are told apart)
        return quantise(prepared, decode)

    return kept_network(folder, "int8", ".tflite", quantise_here)


def quantise(prepared: Prepared, decode: DecodeSettings) -> bytes:
    """Make a TFLite model of a backbone that computes in int8.

    Raises:
        BackboneError: The weights are missing or not as they should be, or LiteRT cannot compute the network in int8.
    """
    from tasks.backbone.load import load_layers
    from tasks.runtime.tensorflow_import import keras

    converted = quantise_network(load_layers(prepared), decode, prepared.backbone.name)
    keras.utils.clear_session(free_memory=True)
    return converted


def quantise_network(network: Callable[[Any], Any], decode: DecodeSettings, name: str) -> bytes:
    """Make a TFLite model of a network that computes in int8.

    Args:
        network: For inside a `tf.function`: pixels, float32 [1, size, size, 3], RGB, 0 to 255, to float32 [1, K], or
            to several of them, each of which gets a scale of its own.
        decode: How its pictures are made.
        name: What people call it.

    Returns:
        A TFLite model from pixels, uint8 [1, size, size, 3], to float32 [1, K] or several of them, in their order.

    Raises:
        BackboneError: LiteRT cannot compute the network in int8.
    """
    from tasks.backbone.model_file_errors import first_line
    from tasks.bottleneck.tflite import convert
    from tasks.runtime.tensorflow_import import tf

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in _calibration(decode))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8

    try:
        return convert(network, [tf.TensorSpec((1, decode.size, decode.size, 3), tf.float32)], configure)
    except PipelineError:
        raise
    except Exception as exc:
        raise BackboneError(
            f"{name} cannot be computed in int8 ({first_line(exc)}). Give --precision float32, bfloat16 or auto."
        ) from exc


def _calibration(decode: DecodeSettings) -> Iterator[npt.NDArray[np.float32]]:
    """Draw pictures, float32 [1, size, size, 3]; the first one has a black and a white pixel for the range of all."""
    for index in range(CALIBRATION_PICTURES):
        picture = read_pixels(decode_photo(draw_photo(0, index), decode).image)[None].astype(np.float32)
        if index == 0:
            picture[0, 0, 0], picture[0, -1, -1] = 0, 255
        yield picture

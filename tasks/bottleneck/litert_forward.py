"""The forward pass by LiteRT: a backbone quantised to int8 once, then run without TensorFlow.

Weights are rounded to 8 bits a channel, activations to 8 bits a tensor (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877). The range of each activation is calibrated on drawn pictures, always the same, and
not on the user's photos: the result for a photo depends only on the backbone and the photo.
"""

import queue
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.network_cache import cached_network
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, PipelineError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.standard_streams import capture_stderr
from tasks.synthetic.composition import draw_photo

#: 25 drawn pictures measured the ranges as well as 100 drawn or 100 real ones: cosine to float32 0.993, 0.993, 0.992.
CALIBRATION_PICTURES = 25


class LiteRTForward:
    """Runs a TFLite model on one photo at a time; each thread that calls it uses one core.

    Args:
        model: The TFLite model: pixels, uint8 [1, size, size, 3], of one or more inputs to one or more outputs,
            float32 [1, K], which are concatenated.
        workers: Threads that may call it at once.
    """

    #: Photos in a call. Each goes through the network alone, which was as fast as four at once.
    batch_size = 16

    def __init__(self, model: bytes, workers: int) -> None:
        self.workers = workers
        self._free: queue.SimpleQueue[Interpreter] = queue.SimpleQueue()
        with capture_stderr():
            for _ in range(workers):
                interpreter = Interpreter(model_content=model, num_threads=1)
                interpreter.allocate_tensors()
                self._free.put(interpreter)
        self._inputs = [each["index"] for each in interpreter.get_input_details()]
        self._outputs = [output["index"] for output in interpreter.get_output_details()]

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Run a model of one input on pixels, uint8 [N, size, size, 3], RGB, 0 to 255: float32 [N, D]."""
        return self.run([pixels])

    def run(self, pixels: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        """Run the model on the pixels of each input, uint8 [N, size, size, 3], RGB, 0 to 255: float32 [N, D]."""
        interpreter = self._free.get()
        try:
            return np.concatenate([self._run(interpreter, photo) for photo in zip(*pixels, strict=True)])
        finally:
            self._free.put(interpreter)

    def _run(self, interpreter: Interpreter, photo: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        for index, pixels in zip(self._inputs, photo, strict=True):
            interpreter.set_tensor(index, pixels[None])
        interpreter.invoke()
        return np.concatenate([interpreter.get_tensor(output) for output in self._outputs], axis=1)


def int8_network(prepared: Prepared, decode: DecodeSettings, folder: AnyPath, progress: Progress) -> bytes:
    """Quantise a backbone for `LiteRTForward`, or read the result that a folder caches, `int8-<hash>.tflite`.

    Raises:
        BackboneError: The weights are missing or have changed, or LiteRT cannot compute the network in int8.
        DamagedError: The cached network is damaged.
    """

    def quantise_backbone() -> bytes:
        with progress.preparing("imports"):
            from tasks.backbone.load import load_layers
            from tasks.runtime.tensorflow_import import keras

        network = quantise_network(load_layers(prepared), decode, prepared.backbone.name)
        keras.utils.clear_session(free_memory=True)
        return network

    return cached_network(folder, "int8", ".tflite", quantise_backbone)


def quantise_network(network: Callable[[Any], Any], decode: DecodeSettings, name: str) -> bytes:
    """Convert a network to a TFLite model that computes in int8.

    Args:
        network: For inside a `tf.function`: pixels, float32 [1, size, size, 3], RGB, 0 to 255, to one or more outputs,
            float32 [1, K], each of which gets its own scale.
        decode: Settings that decode the pictures for the calibration.
        name: Name of the network in messages.

    Returns:
        A TFLite model from pixels, uint8 [1, size, size, 3], to the same outputs.

    Raises:
        BackboneError: LiteRT cannot compute the network in int8.
    """
    from tasks.backbone.model_file_errors import first_line
    from tasks.runtime.tensorflow_import import tf

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in _draw_calibration(decode))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8

    try:
        return convert_to_tflite(network, [tf.TensorSpec((1, decode.size, decode.size, 3), tf.float32)], configure)
    except PipelineError:
        raise
    except Exception as exc:
        raise BackboneError(
            f"{name} cannot be computed in int8 ({first_line(exc)}). Give --precision float32, bfloat16 or auto."
        ) from exc


def _draw_calibration(decode: DecodeSettings) -> Iterator[npt.NDArray[np.float32]]:
    """Draw pictures, float32 [1, size, size, 3]; the first one has a black and a white pixel for the full range."""
    for index in range(CALIBRATION_PICTURES):
        picture = read_pixels(decode_photo(draw_photo(index), decode).image)[None].astype(np.float32)
        if index == 0:
            picture[0, 0, 0], picture[0, -1, -1] = 0, 255
        yield picture


def convert_to_tflite(
    function: Callable[..., Any], inputs: list[Any], configure: Callable[[Any], None] | None = None
) -> bytes:
    """Convert a function to a TFLite model.

    The converter has no exceptions of its own, and all that it raises is passed on.

    Args:
        function: For inside a `tf.function`.
        inputs: Specifications of its inputs, `tf.TensorSpec`, with every dimension fixed.
        configure: Configures the converter, for example to quantise; None leaves its defaults.
    """
    from tasks.runtime.tensorflow_import import tf

    traced = tf.function(function, autograph=False).get_concrete_function(*inputs)
    # Both the converter and the libraries below it log much; errors are raised.
    with capture_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([traced])
        if configure is not None:
            configure(converter)
        converted: bytes = converter.convert()
    return converted

"""The forward pass by OpenVINO, on processors: a network converted once, then run without TensorFlow."""

import io
import logging
import queue
import tempfile
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import KINDS
from tasks.backbone.weights import checked_weights
from tasks.bottleneck.network_cache import cached_network
from tasks.bottleneck.views import Pixels
from tasks.errors import BackboneError
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.openvino_import import ov
from tasks.runtime.standard_streams import capture_stderr

#: The two files of a model: its graph and its weights.
GRAPH, WEIGHTS = "network.xml", "network.bin"
#: Started requests, each with the index of its photo.
_Running = deque[tuple[Any, int]]
_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class ConversionError(BackboneError):
    """OpenVINO cannot compute a network."""


class OpenVinoForward:
    """Computes bottlenecks photo by photo, so that a photo's bottleneck does not depend on the other photos.

    One call keeps all cores busy; several threads may call it at once, so that photos are decoded meanwhile. The
    network is one that `convert_network` returns.
    """

    #: Photos in a call. Each goes through the network alone.
    batch_size = 16

    def __init__(self, network: bytes, precision: Literal["float32", "bfloat16"]) -> None:
        core = ov.Core()
        with zipfile.ZipFile(io.BytesIO(network)) as archive:
            model = core.read_model(archive.read(GRAPH), archive.read(WEIGHTS))
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
            "INFERENCE_NUM_THREADS": available_cores(),
            # Other processes of this pipeline would pin their threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(model, "CPU", settings)
        requests = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # One thread more than there are requests, to decode meanwhile.
        self.workers = requests + 1
        self._width = model.output(0).shape[1]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(requests):
            request = compiled.create_infer_request()
            # One thread creates the first array of the process here. If two threads create it at once, each waits for
            # the other for ever, one for Python's lock and one for that of pybind11's `npy_api`.
            request.get_input_tensor().data[:] = 0
            self._free.put(request)

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Compute the bottlenecks of pixels, uint8 [N, size, size, 3], RGB, 0 to 255: float32 [N, D]."""
        vectors = np.empty((len(pixels), self._width), np.float32)
        running: _Running = deque()
        try:
            for index, photo in enumerate(pixels):
                request = self._take_request(running, vectors)
                running.append((request, index))
                request.get_input_tensor().data[0] = photo
                request.start_async()
        finally:
            while running:
                self._finish_first(running, vectors)
        return vectors

    def _take_request(self, running: _Running, vectors: npt.NDArray[np.float32]) -> Any:
        """Take a free request; if other threads have all of them, finish one of this call's own."""
        while True:
            try:
                return self._free.get(block=not running)
            except queue.Empty:
                self._finish_first(running, vectors)

    def _finish_first(self, running: _Running, vectors: npt.NDArray[np.float32]) -> None:
        request, index = running.popleft()
        try:
            request.wait()
            vectors[index] = request.get_output_tensor().data[0]
        finally:
            self._free.put(request)


def openvino_network(prepared: Prepared, folder: AnyPath, progress: Progress) -> bytes:
    """Build a backbone as OpenVINO's graph, or read the result that a folder caches, `openvino-<hash>.zip`.

    A kind that builds no such graph is converted with `convert_network`.

    Raises:
        ConversionError: OpenVINO cannot compute it.
        BackboneError: The weights are missing or have changed.
        DamagedError: The cached network is damaged.
    """

    def convert_backbone() -> bytes:
        graph = KINDS[prepared.backbone.kind].build_graph(prepared.backbone, checked_weights(prepared))
        if graph is not None:
            return _save_model(graph)
        with progress.preparing("imports"):
            from tasks.backbone.load import load_network
            from tasks.runtime.tensorflow_import import keras

        network = convert_network(load_network(prepared), prepared.backbone.size)
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that are no longer needed.
        keras.utils.clear_session(free_memory=True)
        return network

    return cached_network(folder, "openvino", ".zip", convert_backbone)


def convert_network(function: Callable[[Any], Any], size: int, photos: int | None = 1) -> bytes:
    """Convert a function to OpenVINO's format.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels.
        photos: Photos at a time, N; None for any number.

    Returns:
        An uncompressed ZIP file with `GRAPH` and `WEIGHTS`, in float32: pixels, uint8 [N, size, size, 3], to float32
        [N, K].

    Raises:
        ConversionError: OpenVINO cannot compute it.
    """
    from tasks.backbone.model_file_errors import first_line
    from tasks.runtime.tensorflow_import import tf

    def of_bytes(pixels: Any) -> Any:
        return tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)

    pixels = tf.TensorSpec((photos, size, size, 3), tf.uint8, "pixels")
    graph = tf.function(of_bytes, autograph=False, input_signature=[pixels])
    graph.get_concrete_function()  # errors of the network itself are raised here, before those of the converter
    with _restored_root_logger(), capture_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = ov.convert_model(graph)
        except Exception as exc:  # the converter has many exceptions
            raise ConversionError(f"OpenVINO cannot compute the network ({first_line(exc)}).") from exc
        if len(model.outputs) > 1:
            # The converter makes an output of every tensor that nothing reads, such as a shape; they come last.
            model = ov.Model(model.outputs[:1], model.get_parameters())
        return _save_model(model)


@contextmanager
def _restored_root_logger() -> Iterator[None]:
    """Restore Python's root logger, which the converter lets log errors only, and leaves so if it fails."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers


def _number_operations(model: Any) -> None:
    """Replace Keras' names of operations, which depend on the models that the process built before, by numbers."""
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}-{number}")
        for output in operation.outputs():
            output.get_tensor().set_names(set())


def _save_model(model: Any) -> bytes:
    """Save a model as the file that `convert_network` returns."""
    _number_operations(model)
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w") as archive:
        ov.save_model(model, Path(folder) / GRAPH, compress_to_fp16=False)
        for name in (GRAPH, WEIGHTS):
            # ZipInfo has no current time, so that the same network is the same bytes.
            archive.writestr(zipfile.ZipInfo(name), (Path(folder) / name).read_bytes())
    return buffer.getvalue()

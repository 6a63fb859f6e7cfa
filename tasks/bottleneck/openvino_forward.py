"""The forward pass in float32 or bfloat16 on processors: a network that OpenVINO runs, without TensorFlow."""

import io
import queue
import zipfile
from collections import deque
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.openvino_network import GRAPH, WEIGHTS
from tasks.bottleneck.views import Pixels
from tasks.hardware import available_cores
from tasks.runtime.openvino_import import ov

#: Photos that a thread takes at a time; each goes through the network alone.
PHOTOS_AT_A_TIME = 16
#: Requests, each with the place of its photo.
_Running = deque[tuple[Any, int]]
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoForward:
    """Turns pixels into bottlenecks, photo by photo, so that what comes out does not depend on a photo's neighbours.

    One call keeps all cores busy, and several threads may call it at once, to have photos decoded meanwhile.

    Args:
        network: A network as `tasks.bottleneck.openvino_network.convert_network` makes it.
        precision: What it computes in.
    """

    def __init__(self, network: bytes, precision: Literal["float32", "bfloat16"]) -> None:
        core = ov.Core()
        with zipfile.ZipFile(io.BytesIO(network)) as archive:
            model = core.read_model(archive.read(GRAPH), archive.read(WEIGHTS))
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": available_cores(),
            # Other processes of this pipeline would pin their threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(model, "CPU", settings)
        requests = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # One more than compute at once decodes meanwhile.
        self.batch_size, self.workers = PHOTOS_AT_A_TIME, requests + 1
        self._width = model.output(0).shape[1]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(requests):
            request = compiled.create_infer_request()
            # The first array of a process is made here, by one thread: two threads that make it at once wait for each
            # other for ever, one for Python's lock and one for that of pybind11's `npy_api`, which the other holds.
            request.get_input_tensor().data[:] = 0
            self._free.put(request)

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Compute bottlenecks.

        Args:
            pixels: uint8 [N, size, size, 3], RGB, 0 to 255.

        Returns:
            float32 [N, D].
        """
        vectors = np.empty((len(pixels), self._width), np.float32)
        running: _Running = deque()
        try:
            for place, photo in enumerate(pixels):
                request = self._take(running, vectors)
                running.append((request, place))
                request.get_input_tensor().data[0] = photo
                request.start_async()
        finally:
            while running:
                self._finish(running, vectors)
        return vectors

    def _take(self, running: _Running, vectors: npt.NDArray[np.float32]) -> Any:
        """Take a request that is free, or that will be: where others have all, the first of one's own."""
        while True:
            try:
                return self._free.get(block=not running)
            except queue.Empty:
                self._finish(running, vectors)

    def _finish(self, running: _Running, vectors: npt.NDArray[np.float32]) -> None:
        """Wait for the first of the requests that are running, and keep its vector."""
        request, place = running.popleft()
        try:
            request.wait()
            vectors[place] = request.get_output_tensor().data[0]
        finally:
            self._free.put(request)

"""Converts networks to OpenVINO's model format, once: what runs them needs no TensorFlow."""

import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.kept_network import kept_network
from tasks.errors import BackboneError
from tasks.paths import AnyPath
from tasks.progress import Progress

#: The two files of a model: its graph and its weights.
GRAPH, WEIGHTS = "network.xml", "network.bin"


class ConversionError(BackboneError):
    """OpenVINO cannot compute a network."""


def openvino_network(prepared: Prepared, folder: AnyPath, progress: Progress) -> bytes:
    """Convert a backbone, or read what was converted before.

    Args:
        prepared: The backbone.
        folder: Where the network is kept: `openvino-<hash of its bytes>.zip`.
        progress: Told of what is imported for it.

    Returns:
        The network as `convert_network` makes it.

    Raises:
        ConversionError: OpenVINO cannot compute it.
        BackboneError: The weights are missing or not as they should be.
        DamagedError: The network that is kept is damaged.
    """

    def convert() -> bytes:
        with progress.preparing("imports"):
            from tasks.backbone.load import load_network
            from tasks.runtime.tensorflow_import import keras

        network = convert_network(load_network(prepared), prepared.backbone.size)
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that nobody needs now.
        keras.utils.clear_session(free_memory=True)
        return network

    return kept_network(folder, "openvino", ".zip", convert)


def convert_network(function: Callable[[Any], Any], size: int) -> bytes:
    """Convert a function of pixels.

    Args:
        function: For inside a `tf.function`: pixels, float32 [1, size, size, 3], RGB, 0 to 255, to [1, K].
        size: Height and width of the pixels.

    Returns:
        A ZIP file, uncompressed, of a model in OpenVINO's format (`GRAPH` and `WEIGHTS`, in float32): pixels,
        uint8 [1, size, size, 3], to float32 [1, K].

    Raises:
        ConversionError: OpenVINO cannot compute it.
    """
    from tasks.backbone.model_file_errors import first_line
    from tasks.runtime.capture_stderr import capture_stderr
    from tasks.runtime.openvino_import import ov
    from tasks.runtime.tensorflow_import import tf

    def of_bytes(pixels: Any) -> Any:
        return tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)

    pixels = tf.TensorSpec((1, size, size, 3), tf.uint8, "pixels")
    graph = tf.function(of_bytes, autograph=False, input_signature=[pixels])
    graph.get_concrete_function()  # whatever it raises is the network's own, and not the converter's
    with capture_stderr(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        try:
            model = ov.convert_model(graph)
        except Exception as exc:  # the converter has many exceptions
            raise ConversionError(f"OpenVINO cannot compute the network ({first_line(exc)}).") from exc
        _forget_names(model)
        ov.save_model(model, Path(folder) / GRAPH, compress_to_fp16=False)
        return _zipped(Path(folder))


def _forget_names(model: Any) -> None:
    """Number a model's operations: Keras' names of them depend on what the process has built before."""
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}-{number}")
        for output in operation.outputs():
            output.get_tensor().set_names(set())


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in (GRAPH, WEIGHTS):
            # Without the time, so that the same network is the same bytes.
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    return buffer.getvalue()

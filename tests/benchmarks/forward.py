"""Photos a second through a backbone: each precision as the bottleneck stage runs it, `model.predict`, and the peers.

    python -m tests.benchmarks.forward --output FOLDER

Pixels are random and in memory. OpenVINO's own loop runs the network that the stage runs, in the same precision, with
as many streams as it likes. ONNX Runtime takes part where `pip install -e '.[bench]'` put it.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import build_model, load_network
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.openvino_forward import GRAPH, WEIGHTS, openvino_network
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.hardware import find_hardware
from tasks.progress import NullProgress
from tasks.runtime.openvino_import import ov
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tests.benchmarks.table import Table, parser, rates, tell, time_in_turn

PREDICT = "keras model.predict, 32 at once"
#: What OpenVINO calls the precisions that it computes in.
HINTS = {"float32": "f32", "bfloat16": "bf16"}
PEER_BATCH = 8
Way = Callable[[], object]


def lite0(size: int) -> Prepared:
    """The default backbone."""
    return prepare_backbone(BackboneRequest("efficientnet_lite0", size=size), Path(), NullProgress())


def inception(folder: Path) -> Prepared:
    """Inception-v3 at 299 pixels; its weights are random, since none come with a package."""
    weights = folder / "random.weights.h5"
    keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg").save_weights(weights)
    return prepare_backbone(BackboneRequest("keras:InceptionV3", weights=str(weights)), folder, NullProgress())


def kept_in(prepared: Prepared, precision: Precision, folder: Path) -> Path:
    """Where the network of a precision is kept."""
    return folder / f"{prepared.backbone.name}-{precision}"


def ours(prepared: Prepared, precision: Precision, folder: Path, pixels: Pixels) -> Way:
    """The forward pass as the stage calls it: from as many threads as it takes."""
    settings = BottleneckSettings(prepared.backbone, "jpeg", precision, views=1)
    forward = open_forward(settings, prepared.weights, kept_in(prepared, precision, folder), NullProgress())
    return in_batches(forward, forward.workers, pixels)


def in_batches(forward: Forward, workers: int, pixels: Pixels) -> Way:
    """Call a forward pass from several threads."""
    pool = ThreadPoolExecutor(workers)
    starts = range(0, len(pixels), forward.batch_size)
    return lambda: list(pool.map(lambda start: forward(pixels[start : start + forward.batch_size]), starts))


def openvino(network: bytes, precision: str, pixels: Pixels) -> Way:
    """OpenVINO's own loop over the same network, as its guide to throughput has it."""
    with zipfile.ZipFile(io.BytesIO(network)) as archive:
        model = ov.Core().read_model(archive.read(GRAPH), archive.read(WEIGHTS))
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", hints))

    def run() -> None:
        for photo in pixels:
            queue.start_async({0: photo[None]})
        queue.wait_all()

    return run


def onnxruntime(graph: Path, tensors: tuple[str, str], pixels: Pixels) -> Way:
    """ONNX Runtime on the same frozen graph."""
    import onnxruntime as ort  # noqa: PLC0415 (a peer, which need not be there)
    import tf2onnx  # noqa: PLC0415

    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    into, out = tensors
    model, _ = tf2onnx.convert.from_graph_def(definition, input_names=[into], output_names=[out], opset=17)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    starts = range(0, len(pixels), PEER_BATCH)
    return lambda: [session.run([out], {into: pixels[start : start + PEER_BATCH]}) for start in starts]


def freeze_into(prepared: Prepared, path: Path) -> tuple[str, str]:
    """Write a backbone as a frozen graph of whole batches; returns the names of its input and output."""
    network, size = load_network(prepared), prepared.backbone.size
    function = tf.function(lambda pixels: network(tf.cast(pixels, tf.float32)), autograph=False)
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, size, size, 3), tf.uint8)))
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return frozen.inputs[0].name, frozen.outputs[0].name


def ways_of(prepared: Prepared, folder: Path, pixels: Pixels) -> dict[str, Way]:
    """Everything that is compared, by name; what OpenVINO runs comes beside what it is compared with."""
    model, hardware = build_model(prepared), find_hardware()
    ways: dict[str, Way] = {PREDICT: lambda: model.predict(pixels, batch_size=32, verbose=0)}
    for precision in get_args(Precision):
        if precision == "bfloat16" and not (hardware.gpu or hardware.bfloat16):
            continue
        ways[precision] = ours(prepared, precision, folder, pixels)
        if precision in HINTS and not hardware.gpu:
            network = openvino_network(prepared, kept_in(prepared, precision, folder), NullProgress())
            ways[f"OpenVINO {precision}"] = openvino(network, HINTS[precision], pixels)
    if find_spec("onnxruntime"):
        graph = folder / f"{prepared.backbone.name}.pb"
        ways["ONNX Runtime float32"] = onnxruntime(graph, freeze_into(prepared, graph), pixels)
    return ways


def beside_openvino(title: str, measured: Mapping[str, Sequence[float]]) -> Iterator[Table]:
    """A table for each precision that OpenVINO's own loop was measured in too."""
    for precision in HINTS:
        peer = f"OpenVINO {precision}"
        if peer in measured:
            rows = {way: measured[way] for way in (precision, peer)}
            yield Table("forward", f"{title}: {precision} beside OpenVINO", "photos/s", peer, rows)


def main() -> None:
    """Measure, print a table a backbone, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--lite-size", type=int, default=288, help="Pixels for EfficientNet-Lite0.")
    options.add_argument("--photos", type=int, default=128, help="Photos a round; half as many for Inception-v3.")
    arguments = options.parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for prepared, photos in (
            (lite0(arguments.lite_size), arguments.photos),
            (inception(folder), arguments.photos // 2),
        ):
            backbone = prepared.backbone
            shape = (photos, backbone.size, backbone.size, 3)
            pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            measured = rates(time_in_turn(ways_of(prepared, folder, pixels), arguments.repeat), photos)
            title = f"{backbone.name}, {backbone.size} px, {photos} photos"
            tables.append(Table("forward", title, "photos/s", PREDICT, measured))
            tables += beside_openvino(title, measured)
    tell(tables, arguments.output)


if __name__ == "__main__":
    main()

"""Photos a second through a backbone: each precision as the bottleneck stage runs it, `model.predict`, and the peers.

    python -m tests.benchmarks.forward --output FOLDER

Pixels are random and in memory. Peers take part where `pip install -e '.[bench]'` put them; each is asked for
throughput, with as many streams as it likes.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.fixed_batch import FixedBatch
from tasks.backbone.load import build_model, load_network
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.hardware import find_hardware
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.progress import Silence
from tasks.quiet_tensorflow import freeze, keras, tf
from tests.benchmarks.table import Table, parser, rates, tell, time_in_turn

PREDICT = "keras model.predict, 32 at once"
OPENVINO = "OpenVINO bfloat16"
PEER_BATCH = 8
Way = Callable[[], object]


def lite0(size: int) -> Prepared:
    """The default backbone."""
    return prepare_backbone(BackboneRequest("efficientnet_lite0", size=size), Path(), Silence())


def inception(folder: Path) -> Prepared:
    """Inception-v3 at 299 pixels; its weights are random, since none come with a package."""
    weights = folder / "random.weights.h5"
    keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg").save_weights(weights)
    return prepare_backbone(BackboneRequest("keras:InceptionV3", weights=str(weights)), folder, Silence())


def ours(prepared: Prepared, precision: Precision, folder: Path, pixels: Pixels) -> Way:
    """The forward pass as the stage calls it: from as many threads as it takes."""
    settings = BottleneckSettings(prepared.backbone, "jpeg", precision, views=1)
    forward = open_forward(settings, prepared.weights, folder / f"{prepared.backbone.name}-{precision}", Silence())
    return in_batches(forward, forward.workers, pixels)


def in_batches(forward: Forward | FixedBatch, workers: int, pixels: Pixels) -> Way:
    """Call a forward pass from several threads."""
    pool = ThreadPoolExecutor(workers)
    starts = range(0, len(pixels), forward.batch_size)
    return lambda: list(pool.map(lambda start: forward(pixels[start : start + forward.batch_size]), starts))


def openvino(graph: Path, precision: str, pixels: Pixels) -> Way:
    """OpenVINO on the same frozen graph."""
    import openvino as ov  # noqa: PLC0415 (a peer, which need not be there)

    core = ov.Core()
    model = core.read_model(graph)
    model.reshape([PEER_BATCH, *pixels.shape[1:]])
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", hints))

    def run() -> None:
        for start in range(0, len(pixels), PEER_BATCH):
            queue.start_async({0: pixels[start : start + PEER_BATCH]})
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
    """Everything that is compared, by name."""
    model = build_model(prepared)
    single = FixedBatch(load_network(prepared), prepared.backbone.size, 1)
    ways: dict[str, Way] = {
        PREDICT: lambda: model.predict(pixels, batch_size=32, verbose=0),
        "frozen graph, one at a time": in_batches(single, 1, pixels),
    }
    hardware = find_hardware()
    for precision in ("float32", "bfloat16", "int8"):
        if precision != "bfloat16" or hardware.gpu or hardware.bfloat16:
            ways[precision] = ours(prepared, precision, folder, pixels)
    graph = folder / f"{prepared.backbone.name}.pb"
    tensors = freeze_into(prepared, graph)
    if find_spec("onnxruntime"):
        ways["ONNX Runtime float32"] = onnxruntime(graph, tensors, pixels)
    if find_spec("openvino"):
        ways["OpenVINO float32"] = openvino(graph, "f32", pixels)
        if hardware.bfloat16:
            ways[OPENVINO] = openvino(graph, "bf16", pixels)
    return ways


def main() -> None:
    """Measure, print a table a backbone, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--lite-size", type=int, default=224, help="Pixels for EfficientNet-Lite0.")
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
            if OPENVINO in measured:
                against = {way: measured[way] for way in ("bfloat16", OPENVINO)}
                tables.append(Table("forward", f"{title}: beside OpenVINO", "photos/s", OPENVINO, against))
    tell(tables, arguments.output)


if __name__ == "__main__":
    main()

"""A cold run with all defaults but the export beside the loop of retrain.py: the same photos, splits and backbone.

The loop is `classic_program`. Both are timed from shell to exit. The frozen graph, which retrain.py downloads, is made
before, and the photos' files are in memory. The pipeline does more in its time: two views of each photo, several
layers, a cross-validation and a report.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.retrain import RetrainFlowers
from tasks.backbone.prepare import prepare_backbone
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable
from tasks.snapshot.splits import SPLITS, assign_splits
from tests.benchmarks.measure import FLOWERS, Output, Repeat, Source, Table, in_fresh_process, publish, run_command
from tests.benchmarks.runs import add_photos, choose_photos, read_record, retrain
from tests.support.repository import REPOSITORY


def freeze_backbone(source: Path, graph: Path) -> tuple[str, str, int]:
    """Write the last layer of the default backbone as a frozen graph: pixels from 0 to 1, any number of photos.

    Returns:
        Names of its input and output, and its size in pixels.
    """
    from tasks.backbone.load import load_network  # noqa: PLC0415 (takes seconds)
    from tasks.runtime.tensorflow_import import freeze, tf  # noqa: PLC0415

    (request,) = RetrainFlowers(dataset=str(source)).backbone_requests()
    prepared = prepare_backbone(request, graph.parent, NullProgress())
    network = load_network(replace(prepared, backbone=prepared.backbone.last_layer))
    size = prepared.backbone.size
    function = tf.function(lambda pixels: network(pixels * 255), autograph=False)
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, size, size, 3), tf.float32)))
    graph.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return frozen.inputs[0].name, frozen.outputs[0].name, size


def make_task(source: Path, work: Path, steps: int) -> dict[str, Any]:
    """Return the fields of the loop's `Task` but `vectors`, with the pipeline's own splits."""
    table = usable(take_snapshot(source, None, NullProgress()).table)
    paths, labels, keys = (table.column(name).to_pylist() for name in ("path", "label", "sha256"))
    photos: dict[str, dict[str, list[str]]] = defaultdict(lambda: {split: [] for split in SPLITS})
    for path, label, split in zip(paths, labels, assign_splits(keys, labels).names, strict=True):
        photos[label][split].append(path)
    graph = work / "graph.pb"
    pixels, bottleneck, size = in_fresh_process(freeze_backbone, source, graph)
    names = {"graph": str(graph), "pixels": pixels, "bottleneck": bottleneck, "source": str(source)}
    return {**names, "size": size, "steps": steps, "photos": photos}


def run_classic(task: Mapping[str, Any], folder: Path) -> float:
    """Run the loop; returns its accuracy on the test split."""
    file = folder / "task.json"
    file.write_text(json.dumps({**task, "vectors": str(folder / "vectors")}))
    command = [sys.executable, "-m", "tests.benchmarks.classic_program", str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def run_pipeline(source: Path, root: Path) -> float:
    """Run RetrainFlowers; returns its accuracy on the test split."""
    retrain(source, root, export="none")
    accuracy: float = read_record(root)["metrics"]["test"]["accuracy"]
    return accuracy


def main(output: Output, repeat: Repeat = 3, source: Source = FLOWERS, photos: int = 0, steps: int = 4000) -> None:
    """Time both in turn on all photos or on so many of them."""
    ways = ("classic loop", "pipeline")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    accuracies: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        dataset = Path(name, "photos")
        add_photos(choose_photos(source, photos), source, dataset)
        task = make_task(dataset, Path(name), steps)
        for way in repeat * ways:
            with tempfile.TemporaryDirectory(dir=name) as fresh:
                started = time.perf_counter()
                run = run_classic(task, Path(fresh)) if way == "classic loop" else run_pipeline(dataset, Path(fresh))
                seconds[way].append(time.perf_counter() - started)
                accuracies[way].append(100 * run)
    tables = [
        Table("From shell to exit", "s", seconds, lower_is_better=True),
        Table("Accuracy on the same test photos", "%", accuracies),
    ]
    publish("classic_loop", tables, output, steps=steps)


if __name__ == "__main__":
    run_command(main, __doc__)

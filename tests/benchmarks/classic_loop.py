"""Our pipeline with all defaults but the export, cold, beside the classic loop: the same photos, the same backbone.

    python -m tests.benchmarks.classic_loop --output FOLDER

The classic loop is `classic_program`. Both are timed from shell to exit, with their imports. What retrain.py had
downloaded ready-made, the frozen graph, is made before the clock starts; both find the photos' files in memory, since
the splits are dealt before it. Our pipeline does more in its time: two views of each photo instead of one, several
layers, a cross-validation and a report. The loop exports nothing, so that ours does not either.
"""

import argparse
import importlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.retrain import RetrainFlowers
from tasks.backbone.prepare import prepare_backbone
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable
from tasks.snapshot.splits import SPLITS, assign_splits
from tests.benchmarks.table import Table, parser, tell
from tests.pipeline.command import words
from tests.support.repository import REPOSITORY

CLASSIC, OURS = "classic loop", "pipeline"
ALL, REST = "all", "start-up and the rest"
#: Seconds of each part, the accuracy, and on how many photos it was measured.
Measured = tuple[dict[str, float], float, int]


def main() -> None:
    """Measure in turn, and tell seconds, the stages of both, and their accuracy on the same test photos."""
    arguments = _options()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = arguments.source.resolve()
        if arguments.photos:
            source = choose(source, work / "photos", arguments.photos)
        task = make_task(source, work, arguments.steps)
        ways: dict[str, Callable[[Path], Measured]] = {
            CLASSIC: lambda fresh: run_classic(task, fresh),
            OURS: lambda fresh: run_ours(source, fresh),
        }
        rounds: dict[str, list[Measured]] = {way: [] for way in ways}
        for _ in range(arguments.repeat):
            for way, run in ways.items():
                with tempfile.TemporaryDirectory(dir=work) as fresh:
                    rounds[way].append(run(Path(fresh)))
    report(rounds, arguments.output, arguments.steps)


def _options() -> argparse.Namespace:
    options = parser(__doc__)
    options.set_defaults(repeat=3)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of labels.")
    options.add_argument("--photos", type=int, default=0, help="Take so many of them, for a smaller try; 0 is all.")
    options.add_argument("--steps", type=int, default=4000, help="Steps of the classic loop.")
    return options.parse_args()


def choose(source: Path, target: Path, photos: int) -> Path:
    """Copy so many photos into a folder, as many of each label as go."""
    labels = [sorted(label.iterdir()) for label in sorted(source.iterdir()) if label.is_dir()]
    for label in labels:
        for photo in label[: -(-photos // len(labels))]:
            copy = target / photo.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, copy)
    return target


def make_task(source: Path, work: Path, steps: int) -> dict[str, Any]:
    """Deal the splits as our pipeline does, and freeze its default backbone.

    Returns:
        The fields of the classic program's `Task`, but for the folder of the text files.
    """
    table = usable(take_snapshot(source, None, NullProgress()).table)
    columns = [table.column(name).to_pylist() for name in ("path", "label", "sha256")]
    photos: dict[str, dict[str, list[str]]] = defaultdict(lambda: {split: [] for split in SPLITS})
    for path, label, split in zip(*columns[:2], assign_splits(columns[2], columns[1]).names, strict=True):
        photos[label][split].append(path)
    graph = work / "graph.pb"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pixels, bottleneck, size = pool.apply(freeze_backbone, (source, graph))
    names = {"graph": str(graph), "pixels": pixels, "bottleneck": bottleneck, "source": str(source)}
    return {**names, "size": size, "steps": steps, "photos": photos}


def freeze_backbone(source: Path, graph: Path) -> tuple[str, str, int]:
    """Write the default backbone as a frozen graph as retrain.py takes it: pixels from 0 to 1, any number of photos.

    Its bottleneck is the classic one, the last layer alone.

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


def run_classic(task: Mapping[str, Any], fresh: Path) -> Measured:
    """The classic loop, from shell to exit."""
    file = fresh / "task.json"
    file.write_text(json.dumps({**task, "vectors": str(fresh / "vectors")}))
    seconds, output = _timed([sys.executable, "-m", "tests.benchmarks.classic_program", str(file)])
    found = json.loads(output)
    parts = {ALL: seconds, **found["seconds"], REST: seconds - sum(found["seconds"].values())}
    return parts, found["accuracy"], sum(len(splits["test"]) for splits in task["photos"].values())


def run_ours(source: Path, root: Path) -> Measured:
    """Our pipeline, from shell to exit."""
    options = {"dataset": str(source), "data-root": str(root), "export": "none"}
    seconds, _ = _timed(words("RetrainFlowers", options))
    (record,) = (json.loads(path.read_text()) for path in root.glob("runs/*/*.json"))
    stages, test = record["stages"], record["metrics"]["test"]
    # What was not work is told with the rest.
    work = {name: stage["seconds"] - sum(stage["startup"].values()) for name, stage in stages.items()}
    parts = {ALL: seconds, **work, REST: seconds - sum(work.values())}
    return parts, test["accuracy"], test["photos"]


def _timed(command: list[str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def report(rounds: Mapping[str, list[Measured]], output: Path, steps: int) -> None:
    """Print the tables and write them."""
    (_, _, tested) = rounds[OURS][0]
    whole = {way: [parts[ALL] for parts, _, _ in own] for way, own in rounds.items()}
    tables = [Table("classic_loop", "From shell to exit", "s", CLASSIC, whole, less_is_better=True)]
    for way, own in rounds.items():
        parts = {part: [each[part] for each, _, _ in own] for part in own[0][0]}
        tables.append(Table(f"classic_loop_{way}", f"Parts of the {way}, and their share", "s", ALL, parts))
    accuracy = {way: [100 * correct for _, correct, _ in own] for way, own in rounds.items()}
    tables.append(Table("classic_loop_accuracy", f"Accuracy on the same {tested} test photos", "%", CLASSIC, accuracy))
    importlib.import_module(
        "tasks.runtime.tensorflow_import"
    )  # so that the GPU is named, now that nothing is timed any more
    tell(tables, output, steps=steps)


if __name__ == "__main__":
    main()

"""The head in closed form on made-up photos: a cold run, then a night with 1 % new ones, with seconds and peak memory.

    python -m tests.benchmarks.head --output FOLDER
    python -m tests.benchmarks.head --photos 1000000 --output FOLDER
    python -m tests.benchmarks.head --photos 200000 --store --output FOLDER

Bottlenecks of several layers, in two views, are written as the shards of a real store in a temporary folder (7 GB for
a million photos of 4,256 numbers), in the order of the keys, as a cold run writes them. Each part runs in a process of
its own: the train stage, which brings the statistics up to date and solves for the head, and the evaluate stage, which
solves for the head of each fold and predicts every photo. With `--store` all is on a real object store that runs on
the same cores.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.evaluate.evaluation import TrainedOn, evaluate
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import SNAPSHOT
from tasks.storage.layout import DataRoot
from tasks.train.head_training import train_head
from tasks.train.photos import load_photos
from tasks.train.settings import LdaRecipe, TrainSettings
from tests.benchmarks.resident import peak
from tests.benchmarks.table import Table, parser, tell
from tests.support.servers.object_store import serving
from tests.train.examples import BACKBONE, BOTTLENECK

LABELS = tuple("abcde")
#: Of the last layer; the other numbers are of an earlier one.
LAST_WIDTH = 1280
FOLDS = 5
PHOTOS_PER_SHARD = 1024
NEW = 0.01
PART = "import sys; from tests.benchmarks.head import run_part; run_part(*sys.argv[1:])"

Labels = npt.NDArray[np.int64]


def settings(width: int, views: int) -> TrainSettings:
    """The default recipe on made-up bottlenecks."""
    last = min(LAST_WIDTH, width // 2)
    backbone = replace(BACKBONE, widths=(last, width - last))
    return TrainSettings((replace(BOTTLENECK, backbone=backbone, views=views),), LdaRecipe(), seed=0)


def make_up(root: DataRoot, numbers: range, how: TrainSettings, before: Sequence[str] = ()) -> Manifest:
    """Publish a snapshot of photos that are numbers, and the bottlenecks of those that are not there yet.

    Args:
        root: Where.
        numbers: The photos; the first of them may be there already.
        how: Of the head.
        before: Shards that are there already, of all photos but `NEW` of them.
    """
    (bottleneck,) = how.bottlenecks
    keys = {hashlib.sha256(str(number).encode()).hexdigest(): number for number in numbers}
    truth = {key: number % len(LABELS) for key, number in keys.items()}
    rows = sorted(keys)
    names = [LABELS[truth[key]] for key in rows]
    paths = [f"{name}/{key}" for name, key in zip(names, rows, strict=True)]
    count = len(rows)
    columns = [rows, paths, names, np.ones(count, np.int64), pa.nulls(count, pa.string()), np.zeros(count, bool)]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, SNAPSHOT, strict=True)], SNAPSHOT)
    publish_parquet(root.snapshot("snap"), table)
    first = round(count * (1 - NEW)) if before else 0
    new = [key for key in rows if keys[key] >= first]
    store, random = bottleneck.store(root), np.random.default_rng(first)
    shards = list(before)
    for start in range(0, len(new), PHOTOS_PER_SHARD):
        own = new[start : start + PHOTOS_PER_SHARD]
        labels = np.array([truth[key] for key in own])
        shards.append(store.append(draw(own, labels, how, random)).name)
    outcome = StageResult("made-up", "snap", {}, count, len(new), count - len(new), tuple(shards))
    return Manifest(stage="bottleneck", run="benchmark", seconds=0.0, **vars(outcome))


def draw(keys: list[str], labels: Labels, how: TrainSettings, random: np.random.Generator) -> pa.Table:
    """Draw bottlenecks that tell a little of their labels: square roots of averages, as they are stored."""
    (bottleneck,) = how.bottlenecks
    views, width = bottleneck.views, bottleneck.backbone.width
    numbers = random.gamma(2.0, 20.0, (len(keys), views, width)).astype(np.float32)
    numbers[np.arange(len(keys)), :, labels] += 20
    stored = np.minimum(numbers, 255).astype(np.uint8)
    schema = bottleneck.store(DataRoot(Path())).schema
    lists = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), width)
    columns = [
        pa.array(np.repeat(np.array(keys, dtype=object), views), pa.string()),
        pa.array(np.tile(np.arange(views, dtype=np.int8), len(keys))),
        lists.cast(schema.field("bottleneck").type),
    ]
    return pa.table(columns, schema=schema)


def run_part(part: str, folder: str, width: str, views: str) -> None:
    """Run a stage in this process, and print what that took: seconds, and MB at the peak."""
    root, how = DataRoot(to_path(folder)), settings(int(width), int(views))
    manifest, kept = read_manifest(root.path / "manifest.json"), root.statistics("made-up")
    started = time.perf_counter()
    if part == "train":
        photos = load_photos("snap", [manifest], how, root)
        train_head(photos, "snap", root.train(how.key("snap")), kept, NullProgress())
    else:
        source = TrainedOn([manifest], root.path, kept)
        evaluate("snap", EvaluateSettings(how, FOLDS), source, root, NullProgress())
    sys.stdout.write(json.dumps([time.perf_counter() - started, peak()]))


@contextmanager
def place(*, on_store: bool) -> Iterator[str]:
    """A data root for as long as the block lasts: a temporary folder's, or one on an object store."""
    if not on_store:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    with serving() as store:
        os.environ.update(store.environment)
        yield store.url("data")


def measure(photos: int, how: TrainSettings, *, on_store: bool) -> list[Table]:
    """Run both stages on all photos but 1 %, then on all of them."""
    (bottleneck,) = how.bottlenecks
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    with place(on_store=on_store) as folder:
        root = DataRoot(to_path(folder))
        before: tuple[str, ...] = ()
        for night, count in (("cold", round(photos * (1 - NEW))), (f"{NEW:.0%} new", photos)):
            manifest = make_up(root, range(count), how, before)
            before = tuple(manifest.shards)
            manifest.publish(root.path / "manifest.json")
            for part in ("train", "evaluate"):
                arguments = [part, folder, str(bottleneck.backbone.width), str(bottleneck.views)]
                done = subprocess.run(
                    [sys.executable, "-c", PART, *arguments], capture_output=True, check=True, text=True
                )
                took, peaked = json.loads(done.stdout)
                seconds[f"{night}: {part}"], memory[f"{night}: {part}"] = [took], [peaked]
    title = f"{photos:,} photos of {bottleneck.views} x {bottleneck.backbone.width:,} numbers, {FOLDS} folds"
    first = next(iter(seconds))
    return [
        Table("head", title, "s", first, seconds, less_is_better=True),
        Table("head", "Peak memory of each", "MB", first, memory, less_is_better=True),
    ]


def main() -> None:
    """Measure, print tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--width", type=int, default=4256, help="Numbers of a bottleneck.")
    options.add_argument("--photos", type=int, default=20_000, help="How many.")
    options.add_argument("--views", type=int, default=2, help="Of each.")
    options.add_argument("--store", action="store_true", help="All is on an object store.")
    arguments = options.parse_args()
    how = settings(arguments.width, arguments.views)
    tell(measure(arguments.photos, how, on_store=arguments.store), arguments.output)


if __name__ == "__main__":
    main()

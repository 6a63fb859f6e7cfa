"""Training a head: seconds for as many photos as flower_photos has, and the rate and memory of a million.

    python -m tests.benchmarks.head --output FOLDER
    python -m tests.benchmarks.head --photos 1000000 --epochs 3 --output FOLDER
    python -m tests.benchmarks.head --photos 200000 --store --output FOLDER

All bottlenecks are made up. The few, 3,670 photos in 2 views, are trained on by both recipes in this process, start-up
apart: TensorFlow is loaded, and has traced a training before. The many are written as the shards of a real store in a
temporary folder (5 GB for a million of 1,280 numbers; as much again is the training's scratch file), and trained on by
the recipe `adam` in a process of its own; beside the rate of each epoch stands the rate at which pyarrow reads the same
shards, with all its threads and without doing anything with them. With `--store` they are on a real object store that
runs on the same cores.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.artifacts import SNAPSHOT, DataRoot, Outcome, Store, open_parquet, publish_parquet, read_manifest
from tasks.artifacts.manifests import Manifest
from tasks.paths import to_path
from tasks.progress import Silence
from tasks.train import adam, classic
from tasks.train.examples import Lesson, Watch
from tasks.train.photos import load_photos
from tasks.train.settings import AdamRecipe, ClassicRecipe, TrainSettings
from tasks.train.training import train_head
from tests.benchmarks.table import Table, parser, tell, time_in_turn
from tests.object_store import serving
from tests.train.examples import BOTTLENECK, draw_examples

LABELS = tuple("abcde")
ADAM = AdamRecipe(
    l2=(0.003, 0.01, 0.03, 0.1, 0.3),
    epochs=40,
    batch_size=128,
    learning_rate=0.003,
    averaging=0.99,
    class_weights=False,
)
CLASSIC = ClassicRecipe(steps=4000, batch_size=100, learning_rate=0.01, averaging=0.99)
FEW = 3670
PHOTOS_PER_SHARD = 8192
TRAIN = "import sys; from tests.benchmarks.head import train; train(*sys.argv[1:])"


class Clock(Silence):
    """Progress that notes the time of each epoch's end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def start(self, total: int, unit: str) -> None:  # noqa: ARG002 (it has its own count)
        """Note when the first epoch begins."""
        self.ends = [time.perf_counter()]

    def advance(self, count: int) -> None:
        """Note the end of an epoch; a training that begins anew says that none is done yet."""
        self.ends += [time.perf_counter()] * count


def settings(width: int, views: int, epochs: int) -> TrainSettings:
    """The default recipe on made-up bottlenecks."""
    backbone = replace(BOTTLENECK.backbone, width=width)
    return TrainSettings(replace(BOTTLENECK, backbone=backbone, views=views), replace(ADAM, epochs=epochs), seed=0)


def make_up(root: DataRoot, photos: int, how: TrainSettings) -> Manifest:
    """Publish a snapshot and a store of bottlenecks, and say so as the bottleneck stage does."""
    random = np.random.default_rng(0)
    # A cold run works through photos in the order of their keys.
    keys = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(photos))
    truth = random.integers(0, len(LABELS), photos)
    names = [LABELS[label] for label in truth]
    paths = [f"{name}/{number}.jpg" for number, name in enumerate(names)]
    columns = [keys, paths, names, np.ones(photos, np.int64), pa.nulls(photos, pa.string()), np.zeros(photos, bool)]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, SNAPSHOT, strict=True)], SNAPSHOT)
    publish_parquet(root.snapshot("snap"), table)
    store = how.bottleneck.store(root)
    shards = []
    for start in range(0, photos, PHOTOS_PER_SHARD):
        here = slice(start, start + PHOTOS_PER_SHARD)
        shards.append(store.append(bottlenecks(keys[here], truth[here], how, random)))
    outcome = Outcome("made-up", "snap", {}, photos, photos, 0, tuple(shard.name for shard in shards))
    return Manifest(stage="bottleneck", run="benchmark", seconds=0.0, **vars(outcome))


def bottlenecks(
    keys: list[str],
    truth: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    how: TrainSettings,
    random: np.random.Generator,
) -> pa.Table:
    """Draw bottlenecks that tell a little of their labels."""
    views, width = how.bottleneck.all_views, how.backbone.width
    vectors = random.standard_exponential((len(keys), views, width), np.float32)
    vectors[np.arange(len(keys)), :, truth] += 1
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
    schema = how.bottleneck.store(DataRoot(Path())).schema
    columns = [
        pa.array([key for key in keys for _ in range(views)], pa.string()),
        pa.array(np.tile(np.arange(views, dtype=np.int8), len(keys))),
        numbers.cast(schema.field("bottleneck").type),
    ]
    return pa.table(columns, schema=schema)


def read_plainly(store: Store) -> None:
    """Read all shards with pyarrow, a row group at a time."""
    for shard in store.shards():
        with open_parquet(shard) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)


def train(folder: str, width: str, views: str, epochs: str) -> None:
    """Load the photos and train on them in this process, and print what that took."""
    root, how = DataRoot(to_path(folder)), settings(int(width), int(views), int(epochs))
    manifest = read_manifest(root.path / "manifest.json")
    imports_mb = peak_mb()
    started = time.perf_counter()
    photos = load_photos("snap", manifest, how.bottleneck, root)
    loaded = time.perf_counter()
    clock = Clock()
    best = train_head(photos, how, "snap", root.train("head"), clock)
    ended = time.perf_counter()
    result = {
        "trained": int(photos.of("train").sum()),
        "load": loaded - started,
        "measure": clock.ends[0] - loaded,
        "epochs": np.diff(clock.ends).tolist(),
        "choose": ended - clock.ends[-1],
        "imports_mb": imports_mb,
        "peak_mb": peak_mb(),
        "accuracy": best.accuracy,
    }
    sys.stdout.write(json.dumps(result))


def peak_mb() -> float:
    """Peak resident memory of this process in MB, as Linux tells it; its getrusage tells that of the parent too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def measure_few(width: int, repeat: int) -> Table:
    """Time both recipes on few photos."""
    train, validation = (
        draw_examples((count // len(LABELS),) * len(LABELS), width, seed=seed)
        for seed, count in enumerate((FEW * 8 // 10, FEW // 10))
    )
    plain = [examples.take(examples.labels >= 0, slice(1)) for examples in (train, validation)]

    def steps() -> None:
        with tempfile.TemporaryDirectory() as folder:
            classic.fit(Lesson(plain[0], plain[1], LABELS), CLASSIC, 0, Watch(Silence(), Path(folder)))

    def epochs() -> None:
        with tempfile.TemporaryDirectory() as folder:
            adam.fit(Lesson(train, validation, LABELS), ADAM, 0, Watch(Silence(), Path(folder)))

    ways = {"adam: 40 epochs, 2 views, 5 strengths": epochs, "classic: 4,000 steps of 100": steps}
    title = f"A head on {FEW:,} photos of {width:,} numbers, start-up apart"
    return Table("head", title, "s", next(iter(ways)), time_in_turn(ways, repeat), less_is_better=True)


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


def measure_many(
    photos: int, how: TrainSettings, repeat: int, *, on_store: bool
) -> tuple[list[Table], dict[str, object]]:
    """Train on many photos, and read them plainly."""
    width, views = how.backbone.width, how.bottleneck.views
    assert isinstance(how.recipe, AdamRecipe)
    with place(on_store=on_store) as folder:
        root = DataRoot(to_path(folder))
        make_up(root, photos, how).publish(root.path / "manifest.json")
        reading = time_in_turn({"pyarrow": functools.partial(read_plainly, how.bottleneck.store(root))}, repeat)
        command = [sys.executable, "-c", TRAIN, folder, str(width), str(views), str(how.recipe.epochs)]
        done = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    title = f"A head on {photos:,} photos of {views} x {width:,} numbers: photos read, and trained on in each epoch"
    per_second = {
        "pyarrow alone": [photos / seconds for seconds in reading["pyarrow"]],
        "into the scratch file": [photos / done["load"]],
        "an epoch": [done["trained"] / seconds for seconds in done["epochs"]],
    }
    memory = {"all of it": [done["peak_mb"]], "imports": [done["imports_mb"]]}
    tables = [
        Table("head", title, "photos/s", "pyarrow alone", per_second),
        Table("head", "Peak memory of that process", "MB", "all of it", memory, less_is_better=True),
    ]
    return tables, done


def main() -> None:
    """Measure, print tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--width", type=int, default=1280, help="Numbers of a bottleneck.")
    options.add_argument("--photos", type=int, default=200_000, help="The many; 0 does without.")
    options.add_argument("--views", type=int, default=1, help="Of the many.")
    options.add_argument("--epochs", type=int, default=3, help="Of the many.")
    options.add_argument("--store", action="store_true", help="The many are on an object store.")
    arguments = options.parse_args()
    tables, facts = [measure_few(arguments.width, arguments.repeat)], dict[str, object]()
    if arguments.photos:
        how = settings(arguments.width, arguments.views, arguments.epochs)
        more, facts = measure_many(arguments.photos, how, arguments.repeat, on_store=arguments.store)
        tables += more
    tell(tables, arguments.output, many=facts)


if __name__ == "__main__":
    main()

"""Measures what photos take on this machine, each thing at two sizes: the lines that `tests.benchmarks.plan` goes by.

Real runs of the `luigi` command tell seconds, bytes and requests; made-up snapshots and stores what many keys take.
"""

import json
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.bottleneck.extract import PHOTOS_PER_SHARD
from tasks.decode.photos import ROWS_PER_SHARD
from tasks.export.photos import MAX_PHOTOS
from tasks.hardware import available_cores
from tests.benchmarks.data_roots import Way
from tests.benchmarks.held import by_keys, by_shards, by_trained
from tests.benchmarks.nothing_to_do import link, retrain
from tests.benchmarks.sizing import COLD, FOLDS, NIGHT, NOTHING, Line, Slopes, line
from tests.pipeline.command import luigi
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import serving

#: Shards of made-up stores, of a few keys each.
SHARDS, KEYS_PER_SHARD = (100, 1_000), 10
#: How often a night looks at a shard: twice at each of pictures, once to see what is missing and twice to read at each
#: of bottlenecks, of which there are half as many.
_LOOKS = (2 * 2 + 3) / 3
#: Queries of every night, and how often it makes them: what is there, which hashes are known, what is missing, what is
#: said of all photos.
_QUERIES = {"walk": 1, "snapshot": 1, "decode": 1, "holding": 2, "predictions": 1}
#: Stages that more machines share, and those that draw what they drew of few: what many take longer is a query's.
_SPREAD, _AFTER = ("decode", "bottleneck"), ("champion", "report")
#: Photos from which on an export takes no longer: so many that a tenth of them are all that it predicts.
_MOST_EXPORTED = 10 * MAX_PHOTOS


class Ran(NamedTuple):
    """A cold run with all defaults.

    Args:
        seconds: Of each stage's work.
        startup: Seconds that were no work.
        bytes: Of what it left and of its photos, by what it is.
        settings: Of its evaluation: all stages' before it too.
    """

    seconds: Mapping[str, float]
    startup: float
    bytes: Mapping[str, float]
    settings: Mapping[str, Any]


class Sizes(NamedTuple):
    """How many of what things are measured with: the fewer, then the more.

    Args:
        photos: Real ones, in real runs.
        keys: Of made-up snapshots and stores.
        trained: Photos whose made-up bottlenecks a head is trained on.
    """

    photos: Sequence[int]
    keys: Sequence[int]
    trained: Sequence[int]


def measure(source: Path, sizes: Sizes, precision: str) -> Slopes:
    """Measure everything, each at two sizes.

    Args:
        source: Folder of photos.
        sizes: Which.
        precision: Of the backbone in real runs, as `--precision` takes it.
    """
    photos, keys, trained = sizes
    chosen = {count: choose(source, count) for count in photos}
    runs = {count: run_on_disk(source, files, precision) for count, files in chosen.items()}
    # Of the runs alone: what comes later starts other programs.
    base = _peak_of_children()
    stages = _lines({count: ran.seconds for count, ran in runs.items()})
    stored = _lines({count: ran.bytes for count, ran in runs.items()})
    costs = {count: by_keys(count) for count in keys}
    seconds, memory = (
        _lines({count: {name: cost[which] for name, cost in own.items()} for count, own in costs.items()})
        for which in (0, 1)
    )
    cores, bottleneck = available_cores(), runs[photos[-1]].settings["train"]["bottlenecks"][0]
    summed, head = heads(runs[photos[0]], photos[0], trained, bottleneck)
    looks = line({count: by_shards(count, KEYS_PER_SHARD * SHARDS[-1]) for count in SHARDS})
    return Slopes(
        hashing=stages["snapshot"].times(cores),
        summed=summed,
        spread={name: stages[name].times(cores) for name in _SPREAD},
        alone={
            **{name: seconds[name].times(count) for name, count in _QUERIES.items()},
            **head,
            **{name: Line(runs[photos[-1]].seconds[name], 0) for name in _AFTER},
            "export": Line(stages["export"].at(_MOST_EXPORTED), 0),
        },
        startup=runs[photos[-1]].startup,
        bytes=stored,
        shards=Line(0.0, 1 / ROWS_PER_SHARD + 1 / PHOTOS_PER_SHARD),
        shard_seconds=_LOOKS * looks.each,
        requests=requests(source, chosen),
        base=base,
        memory=memory,
        labels=len({file.parent for files in chosen.values() for file in files}),
    )


def choose(source: Path, count: int) -> list[Path]:
    """So many photos, spread over the labels, which stand one after the other."""
    files = sorted(source.glob("*/*.*"))
    if len(files) < count:
        raise SystemExit(f"{source} has {len(files):,} photos, {count:,} are asked for.")
    return [files[place * len(files) // count] for place in range(count)]


def run_on_disk(source: Path, files: Sequence[Path], precision: str) -> Ran:
    """Make a cold run."""
    with tempfile.TemporaryDirectory() as folder:
        photos, root = Path(folder, "photos"), Path(folder, "data")
        link(files, source, photos)
        _say(f"{len(files):,} photos on a disk")
        retrain(photos, root, "--precision", precision)
        (path,) = root.glob("runs/*/*.json")
        record = json.loads(path.read_text())
        stages = {name: _work(stage) for name, stage in record["stages"].items() if stage["seconds"]}
        (evaluated,) = root.glob("evaluate/*/manifest.json")
        settings = json.loads(evaluated.read_text())["settings"]
        left = {place.name: _bytes(place) for place in root.iterdir() if place.is_dir()}
        parts = {
            "pictures": left.pop("decode"),
            "bottlenecks": left.pop("bottleneck"),
            "snapshot": left.pop("snapshot"),
        }
        stored = {"photos": float(sum(file.stat().st_size for file in files)), **parts, "all else": sum(left.values())}
    return Ran(stages, record["startup"]["seconds"], stored, settings)


def heads(ran: Ran, photos: int, trained: Sequence[int], bottleneck: Mapping[str, Any]) -> tuple[Line, dict[str, Line]]:
    """Seconds of the head and of its evaluation: at the least as of the smallest run, each photo as of many.

    Returns:
        Of the statistics of new photos, and of what is done with all photos, by name.
    """
    width, views = sum(bottleneck["backbone"]["widths"]), bottleneck["views"]
    each = {name: own.each for name, own in _lines({n: by_trained(n, width, views) for n in trained}).items()}
    summed, loaded, crossed = each["train"], each["load"], each["folds"]
    evaluate = loaded + each["predict"]
    return Line(0.0, summed), {
        "train": Line(max(ran.seconds["train"] - photos * (loaded + summed), 0.0), loaded),
        "evaluate": Line(0.0, evaluate),
        # Of few photos it is nearly all of the evaluation.
        FOLDS: Line(max(ran.seconds["evaluate"] - photos * (evaluate + crossed), 0.0), crossed),
    }


def requests(source: Path, chosen: Mapping[int, Sequence[Path]]) -> dict[str, dict[str, Line]]:
    """Requests of each kind on an object store that has photos and data root, of runs of each state.

    Without the export, which reads some photos' files and puts a few: no more of them for many photos.
    """
    counted: dict[str, dict[int, Counter[str]]] = {state: {} for state in (COLD, NIGHT, NOTHING)}
    with serving() as server, Gateway(server.port).serving() as gateway:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": gateway.address})
        for count, files in chosen.items():
            where, new = server.url(f"{count}"), set(files[50::100])
            photos, root = f"{where}/photos", f"{where}/data"
            added: list[list[Path]] = [[file for file in files if file not in new], sorted(new), []]
            for state, own in zip(counted, added, strict=True):
                _say(f"{count:,} photos on an object store, {state}")
                Way("local", where).add(own, source)
                with gateway.counting() as requested:
                    done = luigi("RetrainFlowers", {"dataset": photos, "data-root": root, "export": "none"})
                if done.code:
                    raise SystemExit(f"{where} failed: {done.errors}")
                counted[state][count] = requested
    return {state: _lines(by_size) for state, by_size in counted.items()}


def _lines(measured: Mapping[int, Mapping[str, float]]) -> dict[str, Line]:
    """The line of each name; what is missing at a size is nothing there."""
    names = sorted({name for own in measured.values() for name in own})
    return {name: line({count: own.get(name, 0) for count, own in measured.items()}) for name in names}


def _work(stage: Mapping[str, Any]) -> float:
    """Seconds of a stage in a run's record without those that were no work."""
    seconds: float = stage["seconds"] - sum(stage["startup"].values())
    return max(seconds, 0.0)


def _bytes(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _peak_of_children() -> float:
    """Bytes that the largest process of those that have ended held at most."""
    # macOS counts in bytes.
    return float(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()

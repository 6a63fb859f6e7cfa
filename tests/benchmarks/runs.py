"""Datasets and runs of the real `luigi` command, with all parameters at their defaults."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.paths import to_path
from tests.pipeline.command import Finished, luigi

COLD, NEW, NOTHING = STATES = ("cold", "1 % new", "nothing to do")


def choose_photos(source: Path, count: int) -> list[Path]:
    """Return `count` photos of a folder, spread over its labels; 0 is all."""
    files = sorted(source.glob("*/*.*"))
    if count > len(files):
        raise SystemExit(f"{source} has {len(files):,} photos, {count:,} are asked for.")
    return [files[place * len(files) // count] for place in range(count)] if count else files


def split_new(photos: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the photos that are added before each run: 99 %, the rest, none."""
    new = set(photos[50::100])
    return {COLD: [photo for photo in photos if photo not in new], NEW: sorted(new), NOTHING: []}


def add_photos(photos: Iterable[Path], source: Path, dataset: str | Path) -> None:
    """Link photos of a folder into a dataset, or upload them to one on an object store."""
    target = to_path(str(dataset))
    if not isinstance(target, Path):
        names = {str(photo): f"{target.path}/{photo.relative_to(source)}" for photo in photos}
        target.fs.put(list(names), list(names.values()))
        return
    for photo in photos:
        link = target / photo.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(photo.resolve())


def retrain(
    dataset: str | Path, data_root: str | Path, environment: Mapping[str, str] | None = None, /, **options: str
) -> Finished:
    """Run RetrainFlowers.

    Raises:
        SystemExit: It failed.
    """
    done = luigi("RetrainFlowers", {"dataset": str(dataset), "data_root": str(data_root), **options}, environment)
    if done.code:
        raise SystemExit(f"RetrainFlowers on {dataset} ended with {done.code}: {done.errors}")
    return done


def read_record(data_root: str | Path, date: str = "*") -> dict[str, Any]:
    (path,) = to_path(str(data_root)).glob(f"runs/*/{date}-*.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def seconds_of_work(stage: Mapping[str, Any]) -> float:
    seconds: float = stage["seconds"] - sum(stage["startup"].values())
    return max(seconds, 0.0)

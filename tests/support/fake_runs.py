"""Runs whose outputs are made without a network: real stores, manifests and records of photos that are only numbers."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tasks.champion.champion_file import publish_champion
from tasks.drift.result import DriftResult
from tasks.drift.spec import DRIFT
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.report.index import publish_index
from tasks.shards.manifests import Manifest
from tasks.shards.schemas import DECODE, REJECTED, bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.stage_spec import kind_of, stage_name
from tasks.storage.files import publish_bytes, publish_json
from tasks.storage.layout import DataRoot, manifest_path
from tests.bottleneck.pictures import add_bottlenecks, add_pictures, key_of, keys_of, manifest_of
from tests.support.data_root import first_champion, first_decision, keep, publish_snapshot, record, snapshot_row, stage

VIEWS, _WIDTH = 2, 3


@dataclass(frozen=True)
class FakeRun:
    """A run to be faked."""

    dataset: str  #: Name of the dataset.
    date: dt.date  #: Date of the run.
    photos: frozenset[int]  #: Numbers of the photos.
    rejected: frozenset[int] = frozenset()  #: Numbers of the photos that cannot be decoded.
    settings: str = "a"  #: Stands for the backbone and all other parameters.
    joined: bool = False  #: Whether the run has a second backbone, with stores of its own.
    crowned: bool = False  #: Whether the model becomes champion.
    until: str = "record"  #: The last stage that the run completes.

    @property
    def good(self) -> list[int]:
        return sorted(self.photos - self.rejected)

    @property
    def snapshot(self) -> str:
        return fingerprint({"photos": sorted(self.photos)})

    def key(self, stage: str) -> str:
        """Key of a stage: of a store by the settings alone."""
        of_photos = kind_of(stage) not in ("decode", "bottleneck")
        return fingerprint(
            {
                "stage": stage,
                "settings": self.settings,
                "joined": self.joined and of_photos,
                "snapshot": self.snapshot if of_photos else "",
                "dataset": self.dataset if stage in ("drift", "champion", "report", "run") else "",
                "date": f"{self.date}" if stage in ("report", "run") else "",
            }
        )

    @property
    def parameters(self) -> str:
        """Hash of the parameters in the name of the record."""
        return fingerprint({"settings": self.settings, "joined": self.joined})[:8]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the decode and bottleneck stages."""
        return (1, 2) if self.joined else (1,)

    def record(self, root: DataRoot) -> AnyPath:
        return root.runs(self.dataset) / f"{self.date}-{self.parameters}.json"

    def manifest(self, stage: str, **changes: Any) -> Manifest:
        """The manifest of a stage, with some fields replaced."""
        own = replace(manifest_of(stage, len(self.good), []), run=self.key("run"), key=self.key(stage))
        return replace(own, snapshot=self.snapshot, **changes)


def decoded(root: DataRoot, run: FakeRun, number: int = 1) -> ShardStore:
    store_key = run.key(stage_name("decode", number))
    return ShardStore(root.decode(store_key), describe(DECODE, "decode", store_key, {}), 4)


def rejected(root: DataRoot, run: FakeRun, number: int = 1) -> ShardStore:
    store_key = run.key(stage_name("decode", number))
    return ShardStore(root.rejected(store_key), describe(REJECTED, "decode", store_key, {}), 4)


def embedded(root: DataRoot, run: FakeRun, number: int = 1) -> ShardStore:
    store_key = run.key(stage_name("bottleneck", number))
    schema = describe(bottleneck_schema(_WIDTH, "int16"), "bottleneck", store_key, {})
    return ShardStore(root.bottleneck(store_key), schema, 4)


def stores(root: DataRoot, run: FakeRun) -> list[ShardStore]:
    """All decoded and bottleneck stores of a run."""
    return [open_store(root, run, number) for number in run.numbers for open_store in (decoded, embedded)]


def missing(store: ShardStore, numbers: Iterable[int]) -> list[int]:
    """The numbers of photos that a store has no row for, sorted."""
    wanted = sorted(numbers, key=key_of)
    return sorted(number for number, found in zip(wanted, store.found(keys_of(wanted)), strict=True) if not found)


def make(root: DataRoot, run: FakeRun) -> None:
    """Leave what a run leaves, up to its last stage."""
    for name in STAGES[: STAGES.index(run.until) + 1]:
        _MAKERS[name](root, run)


def _snapshot(root: DataRoot, run: FakeRun) -> None:
    publish_snapshot(root, [snapshot_row(number, f"daisy/{number}.jpg") for number in run.photos], run.snapshot)
    pointer = root.snapshots(run.dataset) / f"{run.date}.json"
    run.manifest("snapshot", key=run.snapshot, settings={"location": "/photos"}).publish(pointer)
    publish_bytes(pointer.with_name("hashes.parquet"), b"hashes")


def _decode(root: DataRoot, run: FakeRun) -> None:
    for number in run.numbers:
        store, apart = decoded(root, run, number), rejected(root, run, number)
        if new := missing(store, run.good):
            add_pictures(store, new, size=2)
        if bad := missing(apart, run.rejected):
            about = {"path": "x", "reason": "damaged", "message": "m"}
            apart.append(pa.Table.from_pylist([{"sha256": key_of(each), **about} for each in bad], apart.schema))
        _publish_store(run, "decode", store)


def _bottleneck(root: DataRoot, run: FakeRun) -> None:
    for number in run.numbers:
        store = embedded(root, run, number)
        if new := missing(store, run.good):
            add_bottlenecks(store, new, VIEWS, _WIDTH)
        for name in ("int8-0123456789abcdef.tflite", "openvino-0123456789abcdef.zip"):
            publish_bytes(store.folder / name, b"network")
        _publish_store(run, "bottleneck", store)


def _publish_store(run: FakeRun, stage: str, store: ShardStore) -> None:
    shards = tuple(shard.name for shard in store.search(keys_of(run.good)).shards())
    run.manifest(stage, shards=shards).publish(manifest_path(store.folder, run.snapshot))


def _drift(root: DataRoot, run: FakeRun) -> None:
    comparison, statistics = DRIFT.paths(root, dataset=run.dataset, key=run.key("drift"))
    publish_bytes(statistics, b"statistics")
    run.manifest("drift", details=DriftResult().to_json()).publish(comparison)


def _train(root: DataRoot, run: FakeRun) -> None:
    folder = root.train(run.key("train"))
    publish_bytes(root.statistics(run.dataset) / "0123456789abcdef" / "photos.parquet", b"photos")
    publish_json(folder / "training.json", {"schema_version": 1, "snapshot": run.snapshot, "settings": {}})
    publish_bytes(folder / "checkpoints" / "head-1", b"head")
    run.manifest("train").publish(folder / "manifest.json")
    predictions = root.below("predict", run.key("predict"))
    publish_bytes(predictions / "predictions.parquet", b"rows")
    about = {"model": folder.name, "folder": "/inbox"}
    run.manifest("predict", settings=about).publish(predictions / "manifest.json")


def _evaluate(root: DataRoot, run: FakeRun) -> None:
    folder = root.evaluate(run.key("evaluate"))
    publish_bytes(folder / "predictions.parquet", b"rows")
    run.manifest("evaluate").publish(folder / "manifest.json")


def _champion(root: DataRoot, run: FakeRun) -> None:
    decision = first_decision(run.key("train"), run.date)
    path = root.decisions(run.dataset) / f"{run.key('champion')}.json"
    run.manifest("champion", details=decision.to_json()).publish(path)
    if run.crowned:
        first = first_champion(run.key("train"), run.date, run.key("evaluate"))
        own = replace(first, snapshot=run.snapshot, run=run.key("run"), decided=run.key("champion"))
        publish_champion(root.champion(run.dataset), run.dataset, own)


def _report(root: DataRoot, run: FakeRun) -> None:
    folder = root.report(run.key("report"))
    publish_bytes(folder / "report.html", b"<html>")
    run.manifest("report").publish(folder / "manifest.json")


def _record(root: DataRoot, run: FakeRun) -> None:
    numbered = [stage_name(kind, number) for kind in ("decode", "bottleneck") for number in run.numbers]
    stages = {name: stage(run.key(name), 0) for name in (*numbered, "drift", "train", "evaluate", "champion", "report")}
    kept = record(
        root,
        f"{run.date}",
        run=run.key("run"),
        snapshot=run.snapshot,
        head=run.key("train"),
        report=str(root.report(run.key("report")) / "report.html"),
        stages={"snapshot": stage(run.snapshot, 0), **stages},
    )
    keep(root, kept, run.dataset, run.parameters)
    publish_index(root)


_MAKERS = {
    "snapshot": _snapshot,
    "decode": _decode,
    "bottleneck": _bottleneck,
    "drift": _drift,
    "train": _train,
    "evaluate": _evaluate,
    "champion": _champion,
    "report": _report,
    "record": _record,
}
#: In the order in which a run completes them.
STAGES = tuple(_MAKERS)

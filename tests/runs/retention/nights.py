"""Nights as the stages leave them, without a network: real stores, manifests and records of made-up photos."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tasks.champion.champion_file import Champion, publish_champion
from tasks.champion.decision import Decision
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.report.index import publish_index
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import DECODE, REJECTED, SNAPSHOT, bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.stage_spec import kind_of, stage_name
from tasks.storage.files import publish_bytes, publish_json
from tasks.storage.layout import DataRoot, manifest_path
from tests.shards.rows import WIDTH, bottlenecks, key, keys
from tests.support.data_root import INTERVAL, keep, record, stage

#: In the order in which a night makes them.
STAGES = ("snapshot", "decode", "bottleneck", "train", "evaluate", "champion", "report", "record")
VIEWS = 2


@dataclass(frozen=True)
class Night:
    """A night to be made.

    Args:
        dataset: Name of the dataset.
        date: The date.
        photos: The photos, by number.
        rejected: Those of them that cannot be decoded.
        settings: Names the backbone and every other parameter.
        joined: Whether it has a second backbone, with stores of its own.
        crowned: Whether its model becomes champion.
        until: The last stage that it comes to.
    """

    dataset: str
    date: dt.date
    photos: frozenset[int]
    rejected: frozenset[int] = frozenset()
    settings: str = "a"
    joined: bool = False
    crowned: bool = False
    until: str = "record"

    @property
    def good(self) -> list[int]:
        """The photos that can be decoded."""
        return sorted(self.photos - self.rejected)

    @property
    def snapshot(self) -> str:
        """Key of the snapshot."""
        return fingerprint({"photos": sorted(self.photos)})

    def key(self, stage: str) -> str:
        """Key of what a stage makes: of a store by the settings alone."""
        of_photos = kind_of(stage) not in ("decode", "bottleneck")
        dated = stage in ("report", "run")
        return fingerprint(
            {
                "stage": stage,
                "settings": self.settings,
                "joined": self.joined and of_photos,
                "snapshot": self.snapshot if of_photos else "",
                "dataset": self.dataset if stage in ("champion", "report", "run") else "",
                "date": f"{self.date}" if dated else "",
            }
        )

    @property
    def parameters(self) -> str:
        """Names the record, beside the date."""
        return fingerprint({"settings": self.settings, "joined": self.joined})[:8]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its decode and bottleneck stages."""
        return (1, 2) if self.joined else (1,)

    def record(self, root: DataRoot) -> AnyPath:
        """Where the record is."""
        return root.runs(self.dataset) / f"{self.date}-{self.parameters}.json"


def decoded(root: DataRoot, night: Night, number: int = 1) -> ShardStore:
    store_key = night.key(stage_name("decode", number))
    return ShardStore(root.decode(store_key), describe(DECODE, "decode", store_key, {}), 4)


def rejected(root: DataRoot, night: Night, number: int = 1) -> ShardStore:
    store_key = night.key(stage_name("decode", number))
    return ShardStore(root.rejected(store_key), describe(REJECTED, "decode", store_key, {}), 4)


def embedded(root: DataRoot, night: Night, number: int = 1) -> ShardStore:
    store_key = night.key(stage_name("bottleneck", number))
    schema = describe(bottleneck_schema(WIDTH, "int16"), "bottleneck", store_key, {})
    return ShardStore(root.bottleneck(store_key), schema, 4)


def stores(root: DataRoot, night: Night) -> list[ShardStore]:
    """All decoded and bottleneck stores of a night."""
    return [open_store(root, night, number) for number in night.numbers for open_store in (decoded, embedded)]


def make(root: DataRoot, night: Night) -> None:
    """Do what a night does, up to its last stage."""
    for name in STAGES[: STAGES.index(night.until) + 1]:
        globals()[f"_{name}"](root, night)


def _snapshot(root: DataRoot, night: Night) -> None:
    rows = [_photo(number) for number in sorted(night.photos)]
    publish_parquet(root.snapshot(night.snapshot), pa.Table.from_pylist(rows, SNAPSHOT))
    pointer = root.snapshots(night.dataset) / f"{night.date}.json"
    _manifest(night, "snapshot", key=night.snapshot, settings={"location": "/photos"}).publish(pointer)
    publish_bytes(pointer.with_name("hashes.parquet"), b"hashes")


def _photo(number: int) -> dict[str, Any]:
    about = {"path": f"daisy/{number}.jpg", "label": "daisy", "bytes": 10}
    return {"sha256": key(number), **about, "duplicate_of": None, "conflict": False}


def _decode(root: DataRoot, night: Night) -> None:
    for number in night.numbers:
        _decode_for(root, night, number)


def _decode_for(root: DataRoot, night: Night, number: int) -> None:
    store, apart = decoded(root, night, number), rejected(root, night, number)
    new = missing(store, night.good)
    if new:
        store.append(pa.Table.from_pylist([_picture(number) for number in new], store.schema))
    bad = missing(apart, night.rejected)
    if bad:
        about = {"path": "x", "reason": "damaged", "message": "m"}
        apart.append(pa.Table.from_pylist([{"sha256": key(number), **about} for number in bad], apart.schema))
    _publish_store(night, "decode", store)


def _picture(number: int) -> dict[str, Any]:
    image = {"bytes": b"picture %d" % number, "path": "x.jpg"}
    return {"sha256": key(number), "image": image, "width": 1, "height": 1, "format": "JPEG", "mode": "RGB"}


def _bottleneck(root: DataRoot, night: Night) -> None:
    for number in night.numbers:
        store = embedded(root, night, number)
        new = missing(store, night.good)
        if new:
            store.append(bottlenecks(new, VIEWS).cast(store.schema))
        for name in ("int8-0123456789abcdef.tflite", "openvino-0123456789abcdef.zip"):
            publish_bytes(store.folder / name, b"network")
        _publish_store(night, "bottleneck", store)


def missing(store: ShardStore, numbers: Iterable[int]) -> list[int]:
    wanted = sorted(numbers)
    return [number for number, found in zip(wanted, store.found(keys(*wanted)), strict=True) if not found]


def _publish_store(night: Night, stage: str, store: ShardStore) -> None:
    shards = tuple(shard.name for shard in store.search(keys(*night.good)).shards())
    _manifest(night, stage, shards=shards).publish(manifest_path(store.folder, night.snapshot))


def _train(root: DataRoot, night: Night) -> None:
    folder = root.train(night.key("train"))
    publish_bytes(root.statistics(night.dataset) / "0123456789abcdef" / "photos.parquet", b"photos")
    publish_json(folder / "training.json", {"schema_version": 1, "snapshot": night.snapshot, "settings": {}})
    publish_bytes(folder / "checkpoints" / "head-1", b"head")
    _manifest(night, "train").publish(folder / "manifest.json")
    predictions = root.below("predict", night.key("predict"))
    publish_bytes(predictions / "predictions.parquet", b"rows")
    about = {"model": folder.name, "folder": "/inbox"}
    _manifest(night, "predict", settings=about).publish(predictions / "manifest.json")


def _evaluate(root: DataRoot, night: Night) -> None:
    folder = root.evaluate(night.key("evaluate"))
    publish_bytes(folder / "predictions.parquet", b"rows")
    _manifest(night, "evaluate").publish(folder / "manifest.json")


def _champion(root: DataRoot, night: Night) -> None:
    decision = Decision("first", night.key("train"), night.key("train"), None, night.date, "Why.", None)
    path = root.decisions(night.dataset) / f"{night.key('champion')}.json"
    _manifest(night, "champion", details=decision.to_json()).publish(path)
    if night.crowned:
        champion = Champion(
            model=night.key("train"),
            since=night.date,
            evaluation=night.key("evaluate"),
            snapshot=night.snapshot,
            run=night.key("run"),
            test={"photos": 1, "accuracy": 0.9, "interval": INTERVAL},
            decided=night.key("champion"),
            decision=decision,
        )
        publish_champion(root.champion(night.dataset), night.dataset, champion)


def _report(root: DataRoot, night: Night) -> None:
    folder = root.report(night.key("report"))
    publish_bytes(folder / "report.html", b"<html>")
    _manifest(night, "report").publish(folder / "manifest.json")


def _record(root: DataRoot, night: Night) -> None:
    kinds = [stage for stage in STAGES[1:-1] if stage not in ("decode", "bottleneck")]
    numbered = [stage_name(kind, number) for kind in ("decode", "bottleneck") for number in night.numbers]
    stages = {name: stage(night.key(name), 0) for name in (*numbered, *kinds)}
    kept = record(
        root,
        f"{night.date}",
        run=night.key("run"),
        snapshot=night.snapshot,
        head=night.key("train"),
        report=str(root.report(night.key("report")) / "report.html"),
        stages={"snapshot": stage(night.snapshot, 0), **stages},
    )
    keep(root, kept, night.dataset, night.parameters)
    publish_index(root)


def _manifest(night: Night, stage: str, **changes: Any) -> Manifest:
    own = Manifest(
        stage=stage,
        run=night.key("run"),
        seconds=1.0,
        key=night.key(stage),
        snapshot=night.snapshot,
        settings={},
        photos=len(night.good),
        new=0,
        reused=0,
    )
    return replace(own, **changes)

"""What files of a data root refer to: the keys that a record, a pointer, a champion or a comparison names."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.catalog import local_path
from tasks.champion.champion_file import Champion
from tasks.errors import SettingError, StoreError
from tasks.paths import AnyPath, is_remote_text, to_path
from tasks.runs.records import read_record
from tasks.shards.manifests import Manifest, read_manifest
from tasks.stage_names import of_kind
from tasks.storage.files import read_json
from tasks.storage.layout import DataRoot


class StoreNeed(NamedTuple):
    """What of a store has to stay.

    Args:
        store: Folder of a decoded or bottleneck store.
        snapshot: Key of the snapshot whose manifest or rows it has to hold.
    """

    store: AnyPath
    snapshot: str


@dataclass(frozen=True)
class Dated:
    """A snapshot that was taken for a date.

    Args:
        dataset: Name of the dataset.
        date: The date, as files are named after it.
        snapshot: Key of the snapshot.
    """

    dataset: str
    date: str
    snapshot: str


@dataclass(frozen=True, kw_only=True)
class Recorded(Dated):
    """What the record of a run or of a comparison says that it was made of.

    Args:
        path: The record.
        run: The run's name in manifests.
        location: Where its dataset is.
        parameters: Every parameter but the date, as text.
        stages: Key of each stage by name; empty for a comparison.
        model: Key of its head or network; empty for a comparison.
    """

    path: AnyPath
    run: str
    location: str
    parameters: Mapping[str, str]
    stages: Mapping[str, str] = field(default_factory=dict)
    model: str = ""

    def stores(self, root: DataRoot) -> set[AnyPath]:
        """The decoded and bottleneck stores that it was made of."""
        decoded = {root.decode(key) for key in of_kind(self.stages, "decode")}
        return decoded | {root.bottleneck(key) for key in of_kind(self.stages, "bottleneck")}


@dataclass
class References:
    """What has to stay, and what was never ours.

    Args:
        paths: Files, and folders with all that is in them.
        manifests: Manifests that a store has to keep, with the shards that they name.
        rows: Rows that a store has to keep, whether a manifest names their shards or not.
        models: Keys of the models that can predict.
        recorded: The nights that came to a record, whether that stays or not.
        given: What the user gave to a run: photos, archives, models, weights.
    """

    paths: set[AnyPath] = field(default_factory=set)
    manifests: set[StoreNeed] = field(default_factory=set)
    rows: set[StoreNeed] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    recorded: set[Dated] = field(default_factory=set)
    given: set[AnyPath] = field(default_factory=set)

    def add_model(self, root: DataRoot, key: str) -> None:
        """Refer to a trained model."""
        self.models.add(key)
        self.paths.add(root.train(key))

    def add_night(self, root: DataRoot, night: Dated) -> None:
        """Refer to the snapshot that was taken of a dataset for a date, and to the download that it was taken of."""
        pointer = root.snapshots(night.dataset) / f"{night.date}.json"
        self.paths |= {pointer, root.snapshot(night.snapshot), root.downloads(night.dataset) / pointer.name}
        # A later run of the date may have taken another one.
        now = readable_manifest(pointer)
        if now is not None:
            self.paths.add(root.snapshot(now.key))

    def add_run(self, root: DataRoot, run: Recorded) -> None:
        """Refer to a run's record and to all that it names."""
        self.paths.add(run.path)
        self.add_night(root, run)
        self.add_model(root, run.model)
        keys = run.stages
        self.paths.add(root.evaluate(keys["evaluate"]))
        self.manifests |= {StoreNeed(store, run.snapshot) for store in run.stores(root)}
        if "champion" in keys:
            self.paths.add(root.decisions(run.dataset) / f"{keys['champion']}.json")
        if "report" in keys:
            self.paths.add(root.report(keys["report"]))
        if "download" in keys:
            self.paths.add(root.downloads(run.dataset) / keys["download"])

    def add_champion(self, root: DataRoot, dataset: str, champion: Champion) -> None:
        """Refer to a dataset's champion."""
        self.add_model(root, champion.model)
        decision = root.decisions(dataset) / f"{champion.decided}.json"
        self.paths |= {root.evaluate(champion.evaluation), root.snapshot(champion.snapshot), decision}

    def add_origin(self, recorded: Recorded) -> None:
        """Note that a night came to a record, and what the user gave to it."""
        self.recorded.add(Dated(recorded.dataset, recorded.date, recorded.snapshot))
        self.add_given(recorded.location, recorded.parameters)

    def add_given(self, location: str, parameters: Mapping[str, str]) -> None:
        """Note what the user gave to a run."""
        backbone = parameters.get("backbone", "")
        # Whether a + joins backbones or is in a path, nobody knows any more.
        for text in dict.fromkeys((location, backbone, *backbone.split("+"), parameters.get("weights", ""))):
            if is_remote_text(text):
                # Of a store that is not used here, it is in no data root of ours.
                with suppress(SettingError):
                    self.given.add(to_path(text))
            elif (path := local_path(text)) is not None:
                self.given.add(path.resolve())

    def given_in(self, path: AnyPath) -> AnyPath | None:
        """What the user gave to a run and is in a folder, or is the file itself; None where nothing is."""
        real = f"{path.resolve()}/"
        return next((given for given in self.given if f"{given}/".startswith(real)), None)


def read_run(path: AnyPath) -> Recorded:
    """Read what a run was made of; records of an earlier version of this project lack a decision and a report.

    Raises:
        StoreError: The record is damaged or of another version.
    """
    record = read_record(path) or {}
    try:
        stages = {name: stage["key"] for name, stage in record["stages"].items()}
        needed = ("decode", "evaluate")
        if not all(name in stages for name in needed):
            raise ValueError(f"it lacks one of the stages {', '.join(needed)}")
        return Recorded(**_origin(path, record), stages=stages, model=record["head"] or record["network"])
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} is damaged ({exc!r}). Delete it; the next run writes it again.") from exc


def read_comparison(path: AnyPath) -> Recorded:
    """Read what a comparison was made of.

    Raises:
        StoreError: The record is damaged or of another version.
    """
    try:
        return Recorded(**_origin(path, read_record(path) or {}))
    except (KeyError, TypeError) as exc:
        raise StoreError(f"{path} is damaged ({exc!r}). Delete it; the next run writes it again.") from exc


def _origin(path: AnyPath, record: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: record[name] for name in ("date", "snapshot", "run", "parameters")}
    return {"path": path, "dataset": path.parent.name, "location": record["dataset"]["location"], **own}


def readable_manifest(path: AnyPath) -> Manifest | None:
    """Read a manifest; None where there is none, or where it counts as absent because it cannot be read."""
    try:
        return read_manifest(path)
    except (FileNotFoundError, StoreError):
        return None


def snapshot_named(folder: AnyPath) -> str | None:
    """Key of the snapshot that the work in a folder is on; None where the folder does not say."""
    for name in ("manifest.json", "training.json"):
        try:
            return str(read_json(folder / name)["snapshot"])
        except (OSError, StoreError, KeyError, TypeError):
            continue
    return None

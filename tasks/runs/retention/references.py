"""References: the outputs that runs, champions and comparisons keep."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.champion.champion_file import Champion
from tasks.champion.spec import CHAMPION
from tasks.errors import StoreError
from tasks.evaluate.spec import EVALUATE
from tasks.paths import AnyPath
from tasks.runs.records import RecordHeader, RunRecord
from tasks.runs.retention.user_files import UserFiles
from tasks.runs.stages import REGISTRY, spec_of
from tasks.shards.manifests import find_manifest
from tasks.snapshot.spec import SNAPSHOT
from tasks.storage.files import read_json
from tasks.storage.layout import DataRoot
from tasks.train.spec import TRAIN


class StoreNeed(NamedTuple):
    """A snapshot that a store has to hold."""

    store: AnyPath  #: Folder of the store.
    snapshot: str  #: Key of the snapshot.


class DatedSnapshot(NamedTuple):
    """A snapshot that was taken for a date."""

    dataset: str  #: Name of the dataset.
    date: str  #: The date, as in file names.
    snapshot: str  #: Key of the snapshot.

    @staticmethod
    def of(record: RecordHeader) -> "DatedSnapshot":
        """The snapshot of a recorded run or comparison."""
        return DatedSnapshot(record.dataset, f"{record.date}", record.snapshot)


@dataclass
class References:
    """Outputs that have to stay."""

    paths: set[AnyPath] = field(default_factory=set)  #: Files, and folders with all their content.
    #: Manifests that stores have to keep, with the shards that they name.
    manifests: set[StoreNeed] = field(default_factory=set)
    #: Rows that stores have to keep, whether a manifest names their shards or not.
    rows: set[StoreNeed] = field(default_factory=set)
    #: Folders of stores that stay, of whose content only `paths` have to stay.
    stores: set[AnyPath] = field(default_factory=set)
    models: set[str] = field(default_factory=set)  #: Keys of the models that can predict.
    #: The snapshots of all runs that have a record, whether it stays or not.
    recorded: set[DatedSnapshot] = field(default_factory=set)
    user_files: UserFiles = field(default_factory=UserFiles)  #: Files that the user gave to runs.

    def add_model(self, root: DataRoot, key: str) -> None:
        """Keep a trained model."""
        self.models.add(key)
        self.paths.update(TRAIN.paths(root, key=key))

    def add_snapshot(self, root: DataRoot, taken: DatedSnapshot) -> None:
        """Keep a snapshot with every output that depends on its dataset and date alone."""
        pointer, *_ = SNAPSHOT.paths(root, dataset=taken.dataset, date=taken.date)
        # A later run of the date may have taken another snapshot.
        current = find_manifest(pointer)
        for key in {taken.snapshot, current.key if current else taken.snapshot}:
            fields = {**taken._asdict(), "snapshot": key}
            self.paths.update(path for spec in REGISTRY for path in spec.paths(root, **fields))

    def add_run(self, root: DataRoot, run: RunRecord) -> None:
        """Keep a run: its record, and the outputs of all its stages."""
        self.paths.add(run.record)
        taken = DatedSnapshot.of(run)
        self.add_snapshot(root, taken)
        self.add_model(root, run.model)
        self.manifests |= {StoreNeed(store, run.snapshot) for store in stores_of(root, run)}
        for name, stage in run.stages.items():
            if not spec_of(name).store:
                self.paths.update(spec_of(name).paths(root, **taken._asdict(), key=stage.key))

    def add_champion(self, root: DataRoot, dataset: str, champion: Champion) -> None:
        """Keep the champion of a dataset, or one of its predecessors."""
        self.add_model(root, champion.model)
        self.paths.update(EVALUATE.paths(root, key=champion.evaluation))
        if champion.decided:
            self.paths.update(CHAMPION.paths(root, dataset=dataset, key=champion.decided))
        self.paths.update(SNAPSHOT.paths(root, snapshot=champion.snapshot))

    def add_origin(self, record: RecordHeader) -> None:
        """Note that a snapshot has a record, and the files that the user gave to the run."""
        self.recorded.add(DatedSnapshot.of(record))
        self.user_files.add(record.location, record.parameters)


def stores_of(root: DataRoot, run: RunRecord) -> set[AnyPath]:
    """Folders of the stores that a run used."""
    stages = [(spec_of(name), stage.key) for name, stage in run.stages.items()]
    return {path for spec, key in stages if spec.store for path in spec.paths(root, key=key)}


def snapshot_named(path: AnyPath) -> str | None:
    """Key of the snapshot that a manifest, or the manifest or training in a folder, names; None where none does."""
    files = [path] if path.suffix == ".json" else [path / "manifest.json", path / "training.json"]
    for file in files:
        try:
            return str(read_json(file)["snapshot"])
        except (OSError, StoreError, KeyError, TypeError):
            continue
    return None

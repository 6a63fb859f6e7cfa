"""The live set: outputs of the newest runs, of champions, of comparisons, and of a newest run without a record."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch

from tasks.champion.champion_file import Champion, read_champion
from tasks.decode.spec import DECODE
from tasks.download.spec import DOWNLOAD
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.predict.spec import PREDICT
from tasks.runs.records import RecordHeader, read_header, read_history, recorded_datasets
from tasks.runs.retention.live_shards import add_shards, store_folders
from tasks.runs.retention.predictions import live_predictions
from tasks.runs.retention.references import DatedSnapshot, References, StoreNeed, snapshot_named, stores_of
from tasks.runs.stages import REGISTRY, RUN_STAGES
from tasks.shards.manifests import find_manifest
from tasks.stage_spec import StageSpec
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot, manifest_path
from tasks.storage.survey import Survey
from tasks.train.spec import TRAIN


@dataclass(frozen=True)
class Policy:
    """Rules of which runs stay."""

    runs: int  #: How many runs of a dataset stay, the newest by date, of one date those that ended last; 1 at least.
    datasets: Collection[str] | None = None  #: Datasets whose older runs are removed; None is all.
    record: AnyPath | None = None  #: A record that stays whatever its date is; None is none.
    damaged: bool = True  #: Whether files are removed that were set aside because they were damaged.


def find_live(root: DataRoot, policy: Policy, there: Survey) -> References:
    """Find the outputs that stay, and the files that the user gave.

    A run stays with all that its record names. The champion of a dataset stays with the run that made it, and the
    models of its predecessors with their evaluations. Comparisons stay with their snapshots and pictures. The newest
    run of a dataset stays as far as it got, where it ended with an error or was killed before its record.

    Raises:
        StoreError: A record or a champion's file cannot be read, so that its references are not known.
    """
    return _Finder(root, policy, there).find()


class _Finder:
    """Reads the records of a data root and collects their references."""

    def __init__(self, root: DataRoot, policy: Policy, there: Survey) -> None:
        self._root, self._policy, self._there = root, policy, there
        self._live = References()

    def find(self) -> References:
        """See `find_live`."""
        root, there, live = self._root, self._there, self._live
        with _needed("the champion is"):
            states = _jsons(there.entries(root.below("champion")))
            champions = {state.stem: champion for state in states if (champion := read_champion(state))}
        for dataset in recorded_datasets(root):
            self._add_runs(dataset, champions.get(dataset))
        for dataset, champion in champions.items():
            # A rollback makes a predecessor champion.
            for each in (champion, *champion.former):
                live.add_champion(root, dataset, each)
        for folder in there.entries(root.below("compare", "runs")):
            with _needed("the references of a comparison are"):
                comparisons = list(read_each(read_header, _jsons(there.entries(folder)), root.path))
            for comparison in comparisons:
                self._add_comparison(comparison)
        for pointers in self._folders(root.below("snapshot")):
            self._add_newest_snapshot(pointers)
        self._add_downloads()
        add_shards(live, root, there)
        live.paths |= live_predictions(self._folders(root.below(PREDICT.name)), live.models, there)
        return live

    def _add_runs(self, dataset: str, champion: Champion | None) -> None:
        root, policy, live = self._root, self._policy, self._live
        with _needed("the references of a record are"):
            runs, damaged = read_history(root, dataset)
            if damaged:
                raise damaged[0]
        trained = [run for run in runs if champion and run.model == champion.model]
        # Where the record of the run that made the champion was replaced, the last run of the same model stays.
        crowning = [run for run in trained if champion and run.run == champion.run] or trained[-1:]
        staying = runs
        if policy.datasets is None or dataset in policy.datasets:
            staying = [*runs[-policy.runs :], *(run for run in runs if run.record == policy.record), *crowning]
        for run in staying:
            live.add_run(root, run)
        for run in runs:
            live.add_origin(run)
        # The champion may have predicted photos of later runs: its stores have their rows, but no manifest.
        stores = {store for run in crowning for store in stores_of(root, run)}
        live.rows |= {StoreNeed(store, run.snapshot) for store in stores for run in staying}

    def _add_comparison(self, comparison: RecordHeader) -> None:
        self._live.add_origin(comparison)
        self._live.add_snapshot(self._root, DatedSnapshot.of(comparison))
        self._live.manifests |= self._manifests_of(
            store_folders([DECODE], self._root, self._there), comparison.snapshot
        )

    def _add_newest_snapshot(self, pointers: AnyPath) -> None:
        """Keep the newest snapshot of a dataset and, where no record has it, all outputs for it."""
        root, live = self._root, self._live
        paths = _jsons(self._there.entries(pointers))
        read = zip(paths, read_each(find_manifest, paths, root.path), strict=True)
        found = [(path.stem, manifest) for path, manifest in read if manifest]
        for _, manifest in found:
            live.user_files.add(manifest.settings.get("location", ""), {})
        if not found:
            return
        date, manifest = found[-1]
        taken = DatedSnapshot(pointers.name, date, manifest.key)
        live.add_snapshot(root, taken)
        if taken in live.recorded:
            return
        stores = store_folders([spec for spec in REGISTRY if spec.store], root, self._there)
        live.rows |= {StoreNeed(store, taken.snapshot) for store in stores}
        live.manifests |= self._manifests_of(stores, taken.snapshot)
        for spec in RUN_STAGES:
            self._add_outputs(spec, taken)

    def _add_outputs(self, spec: StageSpec, taken: DatedSnapshot) -> None:
        """Keep the outputs of a stage that are for a snapshot, whichever their keys are."""
        paths = sorted(self._outputs(spec, taken.dataset))
        named = zip(paths, read_each(snapshot_named, paths, self._root.path), strict=True)
        own = {path for path, snapshot in named if snapshot == taken.snapshot}
        self._live.paths |= own
        if spec is TRAIN:
            self._live.models |= {path.name for path in own}

    def _outputs(self, spec: StageSpec, dataset: str) -> Iterator[AnyPath]:
        """The outputs of a stage that have the key as their name."""
        if spec.store or spec.opaque:
            return
        for output in spec.paths(self._root, dataset=dataset, key="*"):
            if "*" in output.name:
                yield from (path for path in self._there.entries(output.parent) if fnmatch(path.name, output.name))

    def _add_downloads(self) -> None:
        """Keep the photos that the manifests of kept runs name, and those that were fetched last."""
        live = self._live
        for folder in self._folders(self._root.below(DOWNLOAD.name)):
            dated = [path for path in self._there.entries(folder) if fnmatch(path.name, "[0-9]*-[0-9]*-[0-9]*.json")]
            lasting = [folder / "manifest.json", *dated[-1:]]
            live.paths.update(lasting)
            named = {*lasting, *(path for path in dated if path in live.paths)}
            for manifest in read_each(find_manifest, named, self._root.path):
                if manifest is not None:
                    live.paths.add(folder / manifest.key)

    def _folders(self, parent: AnyPath) -> list[AnyPath]:
        return [path for path in self._there.entries(parent) if self._there.is_folder(path)]

    def _manifests_of(self, stores: Iterable[AnyPath], snapshot: str) -> set[StoreNeed]:
        """The manifests of a snapshot that stores have."""
        return {StoreNeed(store, snapshot) for store in stores if self._there.is_file(manifest_path(store, snapshot))}


@contextmanager
def _needed(what: str) -> Iterator[None]:
    try:
        yield
    except StoreError as exc:
        raise StoreError(f"Nothing is collected, since {what} not known: {exc}") from exc


def _jsons(paths: Iterable[AnyPath]) -> list[AnyPath]:
    return [path for path in paths if path.suffix == ".json"]

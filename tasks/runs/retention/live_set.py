"""What stays: the newest runs of each dataset, the champions, comparisons, and a night that came to no record."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch

from tasks.champion.champion_file import Champion, read_champion
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.runs.records import RunRecord, read_history, recorded_datasets
from tasks.runs.retention.references import (
    Dated,
    Recorded,
    References,
    StoreNeed,
    read_comparison,
    read_run,
    readable_manifest,
    snapshot_named,
)
from tasks.storage.files import read_each
from tasks.storage.layout import DataRoot
from tasks.storage.layout import manifest_path as place_of
from tasks.storage.survey import Survey


@dataclass(frozen=True)
class Policy:
    """Which runs stay.

    Args:
        runs: How many of a dataset, the newest by date, of one date those that ended last; 1 at least.
        datasets: Of which datasets older runs go; None is all.
        record: A record that stays whatever its date is; None is none.
        aside: Whether files go that were set aside because they were damaged.
    """

    runs: int
    datasets: Collection[str] | None = None
    record: AnyPath | None = None
    aside: bool = True


def find_kept(root: DataRoot, policy: Policy, there: Survey) -> References:
    """Find what stays, and what the user gave.

    A run stays with all that its record names. The champion of a dataset stays with the run that made it. Comparisons
    stay with their snapshots and pictures. The newest night of a dataset stays as far as it got, where it ended with an
    error or was killed before its record.

    Args:
        root: The data root.
        policy: Which runs stay.
        there: What there is.

    Raises:
        StoreError: A record or the file that names a champion cannot be read, so that nobody knows what it refers to.
    """
    return _Finder(root, policy, there).find()


class _Finder:
    """Goes through what is recorded in a data root, and notes what it refers to."""

    def __init__(self, root: DataRoot, policy: Policy, there: Survey) -> None:
        self._root, self._policy, self._there = root, policy, there
        self._kept = References()

    def find(self) -> References:
        """See `find_kept`."""
        root, there = self._root, self._there
        for dataset in recorded_datasets(root):
            self._add_runs(dataset)
        for state in _jsons(there.entries(root.champion("x").parent)):
            champion = self._champion(state.stem)
            if champion is not None:
                self._kept.add_champion(root, state.stem, champion)
        for folder in there.entries(root.comparisons("x").parent):
            for comparison in read_each(_read_comparison, _jsons(there.entries(folder)), root.path):
                self._add_comparison(comparison)
        for pointers in self._folders(root.snapshots("x").parent):
            self._add_newest_night(pointers)
        self._add_downloads()
        return self._kept

    def _add_runs(self, dataset: str) -> None:
        root, policy, kept = self._root, self._policy, self._kept
        nights, champion = self._nights(dataset), self._champion(dataset)
        paths = [night.record for night in nights]
        records = dict(zip(paths, read_each(read_run, paths, root.path), strict=True))
        crowning = [night for night in nights if champion and night.model == champion.model]
        # Where its record was written anew since, the last run that trained the champion stands for it.
        made = [night for night in crowning if champion and records[night.record].run == champion.run]
        crowning = made or crowning[-1:]
        staying = nights
        if policy.datasets is None or dataset in policy.datasets:
            own = [night for night in nights if night.record == policy.record]
            staying = [*nights[-policy.runs :], *own, *crowning]
        for night in staying:
            kept.add_run(root, records[night.record])
        for run in records.values():
            kept.add_origin(run)
        # The champion may have been asked of photos of later nights: its stores have their rows, but no manifest.
        stores = {store for night in crowning for store in records[night.record].stores(root)}
        kept.rows |= {StoreNeed(store, night.snapshot) for store in stores for night in staying}

    def _nights(self, dataset: str) -> list[RunRecord]:
        nights, damaged = read_history(self._root, dataset)
        if damaged:
            raise StoreError(f"Nothing is collected, since nobody knows what a record refers to: {damaged[0]}")
        return nights

    def _champion(self, dataset: str) -> Champion | None:
        try:
            return read_champion(self._root.champion(dataset))
        except StoreError as exc:
            raise StoreError(f"Nothing is collected, since nobody knows who is champion: {exc}") from exc

    def _add_comparison(self, comparison: Recorded) -> None:
        self._kept.add_origin(comparison)
        self._kept.add_night(self._root, comparison)
        self._kept.manifests |= self._made_for(self._stores(self._root.decode), comparison.snapshot)

    def _add_newest_night(self, pointers: AnyPath) -> None:
        """Refer to the newest night of a dataset, where there is no record of it, with all that it has got."""
        root, kept = self._root, self._kept
        paths = _jsons(self._there.entries(pointers))
        read = zip(paths, read_each(readable_manifest, paths, root.path), strict=True)
        found = [(path.stem, manifest) for path, manifest in read if manifest]
        for _, manifest in found:
            kept.add_given(manifest.settings.get("location", ""), {})
        if not found:
            return
        date, manifest = found[-1]
        snapshot = manifest.key
        night = Dated(pointers.name, date, snapshot)
        kept.add_night(root, night)
        if night in kept.recorded:
            return
        stores = self._stores(root.decode) | self._stores(root.bottleneck)
        kept.rows |= {StoreNeed(store, snapshot) for store in stores}
        kept.manifests |= self._made_for(stores, snapshot)
        for folder in self._on(self._stores(root.train), snapshot):
            kept.add_model(root, folder.name)
        kept.paths |= self._on(self._stores(root.evaluate) | self._stores(root.report), snapshot)
        decisions = _jsons(self._there.entries(root.decisions(pointers.name)))
        decided = zip(decisions, read_each(readable_manifest, decisions, root.path), strict=True)
        kept.paths |= {path for path, made in decided if made and made.snapshot == snapshot}

    def _add_downloads(self) -> None:
        """Refer to the photos that the manifests of kept nights name, and to the last ones that were fetched."""
        kept = self._kept
        for folder in self._folders(self._root.downloads("x").parent):
            dated = [path for path in self._there.entries(folder) if fnmatch(path.name, "[0-9]*-[0-9]*-[0-9]*.json")]
            lasting = [folder / "manifest.json", *dated[-1:]]
            kept.paths.update(lasting)
            named = {*lasting, *(path for path in dated if path in kept.paths)}
            for manifest in read_each(readable_manifest, named, self._root.path):
                if manifest is not None:
                    kept.paths.add(folder / manifest.key)

    def _folders(self, parent: AnyPath) -> list[AnyPath]:
        return [path for path in self._there.entries(parent) if self._there.is_folder(path)]

    def _stores(self, place: Callable[[str], AnyPath]) -> set[AnyPath]:
        """The folders that a stage keeps, one a key."""
        return set(self._folders(place("x").parent))

    def _made_for(self, stores: Iterable[AnyPath], snapshot: str) -> set[StoreNeed]:
        """The manifests of a snapshot that there are."""
        return {StoreNeed(store, snapshot) for store in stores if self._there.is_file(place_of(store, snapshot))}

    def _on(self, folders: set[AnyPath], snapshot: str) -> set[AnyPath]:
        """Those of some folders in which the work is on a snapshot."""
        ordered = sorted(folders)
        named = zip(ordered, read_each(snapshot_named, ordered, self._root.path), strict=True)
        return {folder for folder, own in named if own == snapshot}


def _read_comparison(path: AnyPath) -> Recorded:
    try:
        return read_comparison(path)
    except StoreError as exc:
        raise StoreError(f"Nothing is collected, since nobody knows what a comparison refers to: {exc}") from exc


def _jsons(paths: Iterable[AnyPath]) -> list[AnyPath]:
    return [path for path in paths if path.suffix == ".json"]

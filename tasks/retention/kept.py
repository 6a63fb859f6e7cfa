"""What stays: the newest runs of each dataset, the champions, comparisons, and a night that came to no record."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.artifacts import DataRoot
from tasks.artifacts import manifest as place_of
from tasks.champion.state import Champion, read_champion
from tasks.errors import StoreError
from tasks.records import Night, read_nights, recorded_datasets
from tasks.retention.references import (
    Dated,
    Need,
    References,
    read_comparison,
    read_run,
    readable_manifest,
    snapshot_named,
)


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
    record: Path | None = None
    aside: bool = True


def find_kept(root: DataRoot, policy: Policy) -> References:
    """Find what stays, and what the user gave.

    A run stays with all that its record names. The champion of a dataset stays with the run that made it. Comparisons
    stay with their snapshots and pictures. The newest night of a dataset stays as far as it got, where it ended with an
    error or was killed before its record.

    Raises:
        StoreError: A record or the file that names a champion cannot be read, so that nobody knows what it refers to.
    """
    kept = References()
    for dataset in recorded_datasets(root):
        _add_runs(root, dataset, policy, kept)
    for state in sorted(root.champion("x").parent.glob("*.json")):
        champion = _champion(root, state.stem)
        if champion is not None:
            kept.add_champion(root, state.stem, champion)
    for path in sorted(root.comparisons("x").parent.glob("*/*.json")):
        _add_comparison(root, path, kept)
    for pointers in sorted(root.snapshots("x").parent.glob("*/")):
        _add_newest_night(root, pointers, kept)
    _add_downloads(root, kept)
    return kept


def _add_runs(root: DataRoot, dataset: str, policy: Policy, kept: References) -> None:
    nights, champion = _read(root, dataset), _champion(root, dataset)
    records = {night.record: read_run(night.record) for night in nights}
    crowning = [night for night in nights if champion and night.model == champion.model]
    # Where its record was written anew since, the last run that trained the champion stands for the one that made it.
    crowning = [night for night in crowning if champion and records[night.record].run == champion.run] or crowning[-1:]
    staying = nights
    if policy.datasets is None or dataset in policy.datasets:
        own = [night for night in nights if night.record == policy.record]
        staying = [*nights[-policy.runs :], *own, *crowning]
    for night in staying:
        kept.add_run(root, records[night.record])
    for run in records.values():
        kept.add_origin(run)
    # The champion may have been asked of photos of later nights: their pictures are in its store, and in no manifest.
    stores = {root.decode(records[night.record].stages["decode"]) for night in crowning}
    kept.rows |= {Need(store, night.snapshot) for store in stores for night in staying}


def _read(root: DataRoot, dataset: str) -> list[Night]:
    nights, damaged = read_nights(root, dataset)
    if damaged:
        raise StoreError(f"Nothing is collected, since nobody knows what a record refers to: {damaged[0]}")
    return nights


def _champion(root: DataRoot, dataset: str) -> Champion | None:
    try:
        return read_champion(root.champion(dataset))
    except StoreError as exc:
        raise StoreError(f"Nothing is collected, since nobody knows who is champion: {exc}") from exc


def _add_comparison(root: DataRoot, path: Path, kept: References) -> None:
    try:
        comparison = read_comparison(path)
    except StoreError as exc:
        raise StoreError(f"Nothing is collected, since nobody knows what a comparison refers to: {exc}") from exc
    kept.add_origin(comparison)
    kept.add_night(root, comparison)
    kept.manifests |= _made_for(_stores(root.decode), comparison.snapshot)


def _add_newest_night(root: DataRoot, pointers: Path, kept: References) -> None:
    """Refer to the newest night of a dataset, where there is no record of it, with all that it has got."""
    found = [(path.stem, read) for path in sorted(pointers.glob("*.json")) if (read := readable_manifest(path))]
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
    stores = _stores(root.decode) | _stores(root.bottleneck)
    kept.rows |= {Need(store, snapshot) for store in stores}
    kept.manifests |= _made_for(stores, snapshot)
    for folder in _stores(root.train):
        if snapshot_named(folder) == snapshot:
            kept.add_model(root, folder.name)
    results = _stores(root.evaluate) | _stores(root.report)
    kept.paths |= {folder for folder in results if snapshot_named(folder) == snapshot}
    decisions = root.decisions(pointers.name).glob("*.json")
    kept.paths |= {path for path in decisions if (made := readable_manifest(path)) and made.snapshot == snapshot}


def _stores(place: Callable[[str], Path]) -> set[Path]:
    """The folders that a stage keeps, one a key."""
    return set(place("x").parent.glob("*/"))


def _made_for(stores: Iterable[Path], snapshot: str) -> set[Need]:
    """The manifests of a snapshot that there are."""
    return {Need(store, snapshot) for store in stores if place_of(store, snapshot).exists()}


def _add_downloads(root: DataRoot, kept: References) -> None:
    """Refer to the photos that the manifests of kept nights name, and to the last ones that were fetched."""
    for folder in root.downloads("x").parent.glob("*/"):
        dated = sorted(folder.glob("[0-9]*-[0-9]*-[0-9]*.json"))
        lasting = [folder / "manifest.json", *dated[-1:]]
        kept.paths.update(lasting)
        for path in {*lasting, *(path for path in dated if path in kept.paths)}:
            manifest = readable_manifest(path)
            if manifest is not None:
                kept.paths.add(folder / manifest.key)

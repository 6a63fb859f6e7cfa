"""Random histories of runs, collections and crashes against a simple model: what is kept is whole, the rest goes."""

import datetime as dt
import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.runs.records import read_record
from tasks.runs.retention.collect import collect
from tasks.runs.retention.live_set import Policy
from tasks.shards.compaction import open_store, run_compaction, store_folders
from tasks.shards.manifests import read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tests.bottleneck.pictures import key_of, keys_of
from tests.support.fake_runs import STAGES, VIEWS, FakeRun, decoded, embedded, make, missing, rejected, stores
from tests.support.processes import kill_at

pytestmark = pytest.mark.slow

#: More by hand, other ones each time: HISTORIES=1000 pytest -m slow tests/runs/retention.
EXAMPLES = int(os.environ.get("HISTORIES", "0"))
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder with a random name is made in it)
DATASETS = ("flowers", "trees")
#: Photos that cannot be decoded.
BAD = frozenset({2, 7})
NUMBERS = {key_of(number): number for number in range(12)}
DAYS = st.integers(1, 6)
RUNS = st.builds(
    lambda photos, day, **others: FakeRun(date=dt.date(2026, 3, day), photos=photos, rejected=photos & BAD, **others),
    dataset=st.sampled_from(DATASETS),
    day=DAYS,
    photos=st.frozensets(st.integers(0, 11), min_size=1),
    settings=st.sampled_from("ab"),
    joined=st.booleans(),
    crowned=st.booleans(),
    until=st.sampled_from(["record", "record", *STAGES]),
)
#: Which runs stay, and before which of its steps the collection dies, if it does.
COLLECTIONS = st.tuples(
    st.builds(Policy, st.integers(1, 3), st.sampled_from([None, None, ("flowers",)])),
    st.none() | st.integers(0, 60),
)
#: Files in the data root that no stage wrote.
STRANGERS = ("notes.txt", "photos/daisy/a.jpg", "train/mine.keras", "runs/flowers.bak/a", "decode/README")


class Histories(RuleBasedStateMachine):
    """A data root that runs, compactions and collections work in."""

    def __init__(self) -> None:
        super().__init__()
        # In memory, where that is to be had: there a flush costs nothing.
        self.root = DataRoot(Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)) / "data")
        self.made: list[FakeRun] = []
        self.recorded: dict[AnyPath, FakeRun] = {}
        self.dated: dict[tuple[str, dt.date], FakeRun] = {}
        self.champions: dict[str, FakeRun] = {}
        for name in STRANGERS:
            path = self.root.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    @rule(
        runs=st.lists(RUNS, min_size=2, max_size=5),
        again=st.none() | st.tuples(st.integers(0, 99), DAYS, st.sampled_from(DATASETS)),
        compacts=st.booleans(),
        collects=COLLECTIONS,
    )
    def some_days(
        self,
        runs: list[FakeRun],
        again: tuple[int, int, str] | None,
        *,
        compacts: bool,
        collects: tuple[Policy, int | None],
    ) -> None:
        """Runs that complete or are killed, then perhaps a compaction, a crash, and a collection."""
        for run in runs:
            self._make(run)
        if again:
            # The same photos as an earlier run had, of this dataset or the other one.
            number, day, dataset = again
            run = self.made[number % len(self.made)]
            self._make(replace(run, date=dt.date(2026, 3, day), dataset=dataset))
        if compacts:
            self._compact()
        self._crash()
        policy, step = collects
        if step is None:
            self._collect(policy)
        else:
            self._collect_and_die(policy, step)

    def _make(self, run: FakeRun) -> None:
        make(self.root, run)
        self.made.append(run)
        self.dated[run.dataset, run.date] = run
        if run.crowned and STAGES.index(run.until) >= STAGES.index("champion"):
            self.champions[run.dataset] = run
        if run.until == "record":
            self.recorded[run.record(self.root)] = run

    def _compact(self) -> None:
        for folder in store_folders(self.root):
            run_compaction(open_store(folder, {"decode": 4, "bottleneck": 4}), 16, NullProgress())

    def _crash(self) -> None:
        """Leave what killed writers, the holder of a lock and a damaged shard leave."""
        for store in self._store_folders():
            (store / ".tmp-part-0123456789ab").write_text("half")
            (store / "damaged").mkdir(exist_ok=True)
            (store / "damaged" / "part-0.parquet").write_text("damaged")
        for runs in self.root.path.glob("runs/flowers"):
            (runs / ".2026-03-01.lock").touch()

    def _collect(self, policy: Policy) -> None:
        """A collection that ends: what is kept is whole, and nothing else of ours is left."""
        kept = self._kept(policy)
        expected, needed = self._expected(kept) & self._things(), self._needed(kept)
        rows = self._rows()
        collect(self.root, policy, NullProgress())
        self._check_whole(kept, rows)
        things = self._things()
        assert (things - expected, expected - things) == (set(), set())
        self._check_shards(needed)
        assert not [path for name in (".tmp-*", "damaged", ".*.lock") for path in self.root.path.rglob(name)]
        self._look_again()

    def _collect_and_die(self, policy: Policy, step: int) -> None:
        """A collection that is killed anywhere: what is kept is whole, and so is whatever else has a record."""
        kept, rows = self._kept(policy), self._rows()
        child = get_context("fork").Process(target=self._collect_until, args=(step, policy))
        child.start()
        child.join()
        self._look_again()
        self._check_whole([*kept, *self.recorded.values()], rows)

    @invariant()
    def nothing_of_others_is_touched(self) -> None:
        """Check the data root after any step."""
        assert all((self.root.path / name).read_text() == name for name in STRANGERS)

    def teardown(self) -> None:
        shutil.rmtree(self.root.path.parent)

    def _collect_until(self, step: int, policy: Policy) -> None:
        kill_at(step)
        collect(self.root, policy, NullProgress())

    def _kept(self, policy: Policy) -> list[FakeRun]:
        """The runs that stay, by the model."""
        kept = []
        for dataset in DATASETS:
            own = [self.recorded[path] for path in sorted(self.recorded) if path.parent.name == dataset]
            own.sort(key=lambda run: run.date)
            thinned = policy.datasets is None or dataset in policy.datasets
            kept += own[-policy.runs :] if thinned else own
            kept += [run for run in own if run == self._crowning(own, dataset)]
        return list(dict.fromkeys(kept))

    def _crowning(self, own: list[FakeRun], dataset: str) -> FakeRun | None:
        champion = self.champions.get(dataset)
        if champion is None:
            return None
        trained = [run for run in own if run.key("train") == champion.key("train")]
        made = [run for run in trained if run.key("run") == champion.key("run")]
        return [None, *trained, *made][-1]

    def _unfinished(self) -> list[FakeRun]:
        """The newest run of each dataset, where it came to no record."""
        runs = []
        for dataset in DATASETS:
            dates = [date for name, date in self.dated if name == dataset]
            if dates:
                run = self.dated[dataset, max(dates)]
                if not any(
                    (other.dataset, other.date, other.snapshot) == (dataset, run.date, run.snapshot)
                    for other in self.recorded.values()
                ):
                    runs.append(run)
        return runs

    def _rows(self) -> dict[tuple[str, str, int], set[int]]:
        """By dataset, settings and number: the photos of its newest run without a record that have all their rows."""
        rows = {}
        for run in self._unfinished():
            for parameters, number in product("ab", (1, 2)):
                of = replace(run, settings=parameters)
                own = (decoded(self.root, of, number), embedded(self.root, of, number))
                lacking = {photo for store in own for photo in missing(store, of.good)}
                rows[run.dataset, parameters, number] = set(of.good) - lacking
        return rows

    def _check_whole(self, kept: list[FakeRun], rows: dict[tuple[str, str, int], set[int]]) -> None:
        for run in kept:
            assert (read_record(run.record(self.root)) or {})["run"] == run.key("run")
            for store in stores(self.root, run):
                views = VIEWS if "view" in store.schema.names else 1
                named = [
                    store.folder / name for name in read_manifest(manifest_path(store.folder, run.snapshot)).shards
                ]
                found = sum(table.num_rows for table in store.rows(keys_of(run.good), ["sha256"], named))
                assert found == views * len(run.good)
            for number in run.numbers:
                assert missing(rejected(self.root, run, number), run.rejected) == []
            assert all(path.exists() for path in self._own(run))
        for (dataset, parameters, number), there in rows.items():
            of = FakeRun(dataset, dt.date.min, frozenset(there), settings=parameters)
            for store in (decoded(self.root, of, number), embedded(self.root, of, number)):
                assert missing(store, there) == []

    def _own(self, run: FakeRun) -> set[AnyPath]:
        """Outputs that a run refers to, beside rows."""
        root = self.root
        return {
            run.record(root),
            root.snapshots(run.dataset) / f"{run.date}.json",
            root.decisions(run.dataset) / f"{run.key('champion')}.json",
            root.below("drift", run.dataset, f"{run.key('drift')}.json"),
            root.report(run.key("report")),
            *self._made_of(run),
        }

    def _made_of(self, run: FakeRun) -> set[AnyPath]:
        """Outputs that a run shares with others of the same photos and settings."""
        root = self.root
        return {
            root.snapshot(run.snapshot),
            *(manifest_path(store.folder, run.snapshot) for store in stores(root, run)),
            *(root.path / stage / run.key(stage) for stage in ("train", "evaluate", "predict")),
        }

    def _expected(self, kept: list[FakeRun]) -> set[AnyPath]:
        """Outputs that may stay, beside shards."""
        root = self.root
        expected = set().union(*map(self._own, kept))
        for dataset, run in self.champions.items():
            expected |= {root.decisions(dataset) / f"{run.key('champion')}.json", root.snapshot(run.snapshot)}
            expected |= {root.path / stage / run.key(stage) for stage in ("train", "evaluate", "predict")}
        for run in self._unfinished():
            alike = [other for other in self.made if other.snapshot == run.snapshot]
            own = [other for other in alike if other.dataset == run.dataset]
            expected |= set().union(*map(self._made_of, alike))
            expected |= {root.report(other.key("report")) for other in alike}
            expected |= {root.decisions(run.dataset) / f"{other.key('champion')}.json" for other in own}
            expected |= {root.below("drift", run.dataset, f"{other.key('drift')}.json") for other in own}
        newest = {(name, max(date for other, date in self.dated if other == name)) for name, _ in self.dated}
        for dataset, date in {*newest, *((run.dataset, run.date) for run in kept)}:
            expected |= {root.snapshots(dataset) / f"{date}.json", root.snapshot(self.dated[dataset, date].snapshot)}
        return expected

    def _things(self) -> set[AnyPath]:
        """Outputs that there are, beside shards and files of others."""
        named = ("runs/*/*.json", "snapshot/*/*-*.json", "champion/*/*.json", "drift/*/*.json", "*/*/manifests/*")
        places = (*named, "snapshot/*.parquet")
        folders = (f"{stage}/*/" for stage in ("report", "evaluate", "train", "predict"))
        return {path for place in (*places, *folders) for path in self.root.path.glob(place)}

    def _needed(self, kept: list[FakeRun]) -> dict[AnyPath, set[int]]:
        """The photos whose rows have to stay, by store."""
        needed: dict[AnyPath, set[int]] = defaultdict(set)
        for run in kept:
            for store in stores(self.root, run):
                needed[store.folder] |= run.photos
        for run in self._unfinished():
            for folder in self._store_folders():
                needed[folder] |= run.photos
        for dataset in self.champions:
            own = [run for run in kept if run.dataset == dataset]
            # The run that made the champion is among them, if it has a record.
            crowning = self._crowning(sorted(own, key=lambda run: run.date), dataset)
            if crowning:
                for store in stores(self.root, crowning):
                    needed[store.folder] |= set().union(*(run.photos for run in own))
        return needed

    def _check_shards(self, needed: dict[AnyPath, set[int]]) -> None:
        for folder in self._store_folders():
            for shard in folder.rglob("part-*.parquet"):
                held = {NUMBERS[key] for key in pq.read_table(shard, columns=["sha256"]).column(0).to_pylist()}
                assert held & needed[folder]

    def _store_folders(self) -> list[Path]:
        return [*self.root.path.glob("decode/*/"), *self.root.path.glob("bottleneck/*/")]

    def _look_again(self) -> None:
        """Forget in the model what a collection has removed."""
        self.recorded = {path: run for path, run in self.recorded.items() if path.exists()}
        self.dated = {
            (dataset, date): run
            for (dataset, date), run in self.dated.items()
            if (self.root.snapshots(dataset) / f"{date}.json").exists()
        }


def test_random_histories() -> None:
    """Kept outputs are whole at any moment, others go as a whole, and files of others are never touched."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES or 6,
            stateful_step_count=6,
            deadline=None,
            derandomize=not EXAMPLES,
            database=None,
            phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
        ),
    )

"""The verbs of `python -m pipeline` on a data root on a real object store: what they say and do of one on a disk."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tasks.paths import is_remote, to_path
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_folder
from tasks.storage.object_store import is_aid
from tasks.storage.remote_listing import objects_below
from tests.pipeline.command import QUICK, Project
from tests.pipeline.conftest import Trained
from tests.runs.retention.nights import Night, make
from tests.storage.processes import started
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore, forget_stores

#: Holds a data root as a run does until it is told to end.
HOLD = """
import sys
from tasks.storage.locks import lock_shared
from tasks.paths import to_path
lock_shared(to_path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""
#: What stands for a data root in the words of a command; stars are those of a path on the disk.
ROOT = "ROOT"


@dataclass(frozen=True)
class Both:
    """A data root on a disk, and the same one on an object store.

    Args:
        here: The folder.
        there: The address.
    """

    here: Path
    there: str

    def check(self, *words: str) -> str:
        """Call a command on each in this process, which succeeds and says the same of both; returns what it says."""
        here, there = (self._call(root, words) for root in (str(self.here), self.there))
        assert (here.exit_code, there.exit_code) == (0, 0), f"{here.output}{there.output}"
        # How wide the columns are is another matter.
        assert there.output.replace(self.there, str(self.here)).split() == here.output.split()
        return there.output

    def check_contents(self) -> None:
        """See that there are the same files in both."""
        files = {f"{path.relative_to(self.here)}" for path in self.here.rglob("*") if path.is_file()}
        root = to_path(self.there)
        assert is_remote(root)
        assert {found.path for found in objects_below(root) if not is_aid(found.path)} == files

    def _call(self, root: str, words: Iterable[str]) -> Result:
        return CliRunner().invoke(app, [self._resolved(word).replace(ROOT, root) for word in words])

    def _resolved(self, word: str) -> str:
        if not word.startswith(f"{ROOT}/"):
            return word
        (path,) = self.here.glob(word.removeprefix(f"{ROOT}/"))
        return f"{ROOT}/{path.relative_to(self.here)}"


def put(folder: Path, url: str) -> Both:
    """Copy a data root to the store, as the store's own tools do."""
    root = to_path(url)
    assert is_remote(root)
    root.fs.put(f"{folder}/", f"{root.path}/", recursive=True)
    return Both(folder, url)


@pytest.fixture(scope="module")
def read(trained: Trained, object_store: ObjectStore) -> Both:
    """The shared run's data root, which no test may write to."""
    return put(trained.project.root, object_store.url("data"))


@pytest.fixture
def written(same_photos: Project, object_store: ObjectStore) -> Both:
    """Copies of it."""
    return put(same_photos.root, object_store.url("data"))


@pytest.fixture
def nights(tmp_path: Path, object_store: ObjectStore) -> Both:
    """Four nights of made-up photos, a few new ones a night, of which the second one made the champion."""
    root = DataRoot(tmp_path / "data")
    for day in range(1, 5):
        photos, spoilt = frozenset(range(3 * day)), frozenset({3 * day - 1})
        make(root, Night("flowers", dt.date(2026, 3, day), photos, spoilt, crowned=day == 2))
    return put(root.path, object_store.url("data"))


def about(trained: Trained) -> list[str]:
    """The options of the shared run."""
    given = {"dataset": f"{trained.project.photos}", "date": Trained.DATE, **QUICK}
    return [*(f"--{name}={value}" for name, value in given.items()), f"--data-root={ROOT}"]


@pytest.mark.parametrize(
    "words",
    [
        ("history",),
        ("history", "--json"),
        ("open", "--no-browser"),
        ("open", "--index", "--no-browser"),
        ("compact", "--dry-run"),
        ("gc", "--dry-run"),
    ],
    ids=" ".join,
)
def test_what_a_verb_says_of_a_data_root_is_the_same_on_a_store(read: Both, words: tuple[str, ...]) -> None:
    assert read.check(*words, f"--data-root={ROOT}")


@pytest.mark.parametrize(
    "place",
    [
        "snapshot/*.parquet",
        "snapshot/*/hashes.parquet",
        "snapshot/*/*.json",
        "decode/*",
        "decode/*/part-*.parquet",
        "bottleneck/*",
        "bottleneck/*/manifests/*.json",
        "train/*",
        "evaluate/*",
        "runs/*/*.json",
    ],
)
def test_what_is_inspected_on_a_store_is_named_by_its_address(read: Both, place: str) -> None:
    assert read.there in read.check("inspect", f"{ROOT}/{place}")


def test_a_contact_sheet_is_drawn_of_a_store_s_photos(read: Both, tmp_path: Path) -> None:
    drawn = []
    for root in (str(read.here), read.there):
        (store,) = (path.name for path in (read.here / "bottleneck").iterdir())
        words = ["inspect", f"{root}/bottleneck/{store}", "--photos", f"{tmp_path / 'sheet.png'}"]
        assert CliRunner().invoke(app, words).exit_code == 0
        drawn.append((tmp_path / "sheet.png").read_bytes())
    assert drawn[0] == drawn[1]


def test_status_and_what_would_be_forgotten_are_the_same_on_a_store(read: Both, trained: Trained) -> None:
    assert "A run has nothing to do." in read.check("status", *about(trained))
    read.check("forget", "backbone", "--downstream", "--dry-run", *about(trained))


def test_a_model_on_a_store_is_found_by_address_record_and_dataset(read: Both, trained: Trained) -> None:
    photo = f"{min(trained.project.photos.rglob('*.jpg'))}"
    (name,) = (path.name for path in (read.here / "runs").iterdir())
    rows = [
        read.check("predict", model, photo, "--format=csv", f"--data-root={ROOT}")
        for model in (f"{ROOT}/train/*", f"{ROOT}/runs/*/*.json", name)
    ]
    assert len(set(rows)) == 1
    nowhere = CliRunner().invoke(app, ["watch", f"{read.there}/train/0123456789abcdef", "--once"])
    assert nowhere.exit_code == 2
    assert "is not the key of a head" in " ".join(nowhere.stderr.split())


def test_what_is_forgotten_on_a_store_is_gone_there_and_nothing_else(written: Both, trained: Trained) -> None:
    head = to_path(written.there) / "train" / next((written.here / "train").iterdir()).name
    words = ["forget", "train", "--downstream", "--yes", *about(trained)]
    with lock_folder(head):
        refused = CliRunner().invoke(app, [word.replace(ROOT, written.there) for word in words])
    assert refused.exit_code == 1
    assert f"A process works in {head}." in refused.stderr
    written.check(*words)
    written.check_contents()


def test_compact_and_gc_on_a_store_leave_what_they_leave_on_a_disk(nights: Both, gateway: Gateway) -> None:
    root = f"--data-root={ROOT}"
    assert "4 shards become 1" in nights.check("compact", root)
    nights.check_contents()
    assert "nothing to merge" in nights.check("compact", root)
    nights.check("gc", "--keep-runs=1", "--dry-run", root)
    with gateway.counting() as counted:
        listed = nights.check("gc", "--keep-runs=1", "--dry-run", "--json", root)
    # A listing a stage, and each record and manifest once or twice; not one request a file.
    assert counted.total() < listed.count('"path"') + 60
    assert "What stays lacks nothing." in nights.check("gc", "--keep-runs=1", "--yes", root)
    nights.check_contents()
    assert nights.check("gc", "--keep-runs=1", "--yes", root).startswith("Nothing to remove: 2 runs stay")


def test_while_a_run_is_under_way_on_a_store_nothing_is_removed(nights: Both) -> None:
    with started(HOLD, nights.there):
        done = CliRunner().invoke(app, ["gc", "--keep-runs=1", "--yes", f"--data-root={nights.there}"])
    assert done.exit_code == 1
    assert "A run is under way" in done.stderr
    nights.check_contents()


@pytest.mark.parametrize(
    ("address", "words"),
    [("s3://", "names no bucket"), ("ftp://host/data", "is nowhere that files are kept")],
)
def test_an_address_that_cannot_be_is_an_error_of_usage(address: str, words: str) -> None:
    for verb in ("history", "gc", "compact", "open"):
        done = CliRunner().invoke(app, [verb, f"--data-root={address}"])
        assert done.exit_code == 2
        assert words in " ".join(done.stderr.split())
    done = CliRunner().invoke(app, ["inspect", address])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_a_store_that_refuses_the_credentials_is_told_of_in_a_sentence(
    read: Both, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", f"{object_store.secret}-of-another")
        forget_stores()
        done = CliRunner().invoke(app, ["history", f"--data-root={read.there}"])
    forget_stores()
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("The object store cannot be used")
    assert done.stderr.count("\n") == 1
    assert object_store.secret not in done.stderr

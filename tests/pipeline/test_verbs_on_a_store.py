"""Verbs on a data root on a real object store say and do the same as on a disk."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.paths import is_remote, to_path
from tasks.storage.files import lock_folder
from tasks.storage.layout import DataRoot
from tasks.storage.object_store import is_internal
from tasks.storage.remote_listing import objects_below
from tests.pipeline.command import QUICK, Finished, Project, assert_error, option_words, verb
from tests.pipeline.conftest import Trained
from tests.storage.processes import SHARER, started
from tests.support.fake_runs import FakeRun, make
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore, forget_stores

pytestmark = pytest.mark.slow

#: Stands for a data root in the words of a command; a pattern after it stands for the one path that it matches.
ROOT = "ROOT"


@dataclass(frozen=True)
class Both:
    """A data root on a disk and a copy of it on an object store."""

    here: Path  #: The folder.
    there: str  #: The address.

    def check(self, *words: str) -> str:
        """Call a command on each, which succeeds and says the same of both; returns its output."""
        here, there = (self.call(root, *words) for root in (str(self.here), self.there))
        assert (here.code, there.code) == (0, 0), f"{here.errors}{there.errors}"
        # The widths of columns differ.
        assert there.output.replace(self.there, str(self.here)).split() == here.output.split()
        return there.output

    def check_contents(self) -> None:
        """Check that both have the same files."""
        files = {f"{path.relative_to(self.here)}" for path in self.here.rglob("*") if path.is_file()}
        root = to_path(self.there)
        assert is_remote(root)
        assert {found.path for found in objects_below(root) if not is_internal(found.path)} == files

    def call(self, root: str, *words: str) -> Finished:
        return verb(*[self._resolved(word).replace(ROOT, root) for word in words])

    def _resolved(self, word: str) -> str:
        if not word.startswith(f"{ROOT}/"):
            return word
        (path,) = self.here.glob(word.removeprefix(f"{ROOT}/"))
        return f"{ROOT}/{path.relative_to(self.here)}"


def put(folder: Path, url: str) -> Both:
    root = to_path(url)
    assert is_remote(root)
    root.fs.put(f"{folder}/", f"{root.path}/", recursive=True)
    return Both(folder, url)


@pytest.fixture(scope="module")
def read(trained: Trained, object_store: ObjectStore) -> Both:
    """The data root of the first run, which no test may write to."""
    return put(trained.project.root, object_store.url("data"))


@pytest.fixture
def written(same_photos: Project, object_store: ObjectStore) -> Both:
    """A copy of it."""
    return put(same_photos.root, object_store.url("data"))


@pytest.fixture
def four_runs(root: DataRoot[Path], object_store: ObjectStore) -> Both:
    """Four runs on made-up photos, a few new ones in each, of which the second made the champion."""
    for day in range(1, 5):
        photos, spoilt = frozenset(range(3 * day)), frozenset({3 * day - 1})
        make(root, FakeRun("flowers", dt.date(2026, 3, day), photos, spoilt, crowned=day == 2))
    return put(root.path, object_store.url("data"))


def about(trained: Trained) -> list[str]:
    given = {"dataset": f"{trained.project.photos}", "date": Trained.DATE, **QUICK, "data_root": ROOT}
    return option_words(given)


@pytest.mark.parametrize(
    "words",
    [
        "history",
        "history --json",
        "open --no-browser",
        "open --index --no-browser",
        "compact --dry-run",
        "gc --dry-run",
    ],
)
def test_a_verb_has_the_same_output_on_a_store(read: Both, words: str) -> None:
    assert read.check(*words.split(), f"--data-root={ROOT}")


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
def test_inspect_names_a_file_on_a_store_by_its_address(read: Both, place: str) -> None:
    assert read.there in read.check("inspect", f"{ROOT}/{place}")


def test_a_contact_sheet_is_drawn_of_a_store_s_photos(read: Both, tmp_path: Path) -> None:
    drawn = []
    for root in (str(read.here), read.there):
        read.call(root, "inspect", f"{ROOT}/bottleneck/*", "--photos", f"{tmp_path / 'sheet.png'}").check()
        drawn.append((tmp_path / "sheet.png").read_bytes())
    assert drawn[0] == drawn[1]


def test_status_and_a_dry_run_of_forget_are_the_same_on_a_store(read: Both, trained: Trained) -> None:
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
    nowhere = verb("watch", f"{read.there}/train/0123456789abcdef", "--once")
    assert_error(nowhere, 2, "is not the key of a head")


def test_forget_on_a_store_removes_what_it_removes_on_a_disk(written: Both, trained: Trained) -> None:
    head = to_path(written.there) / "train" / next((written.here / "train").iterdir()).name
    words = ["forget", "train", "--downstream", "--yes", *about(trained)]
    with lock_folder(head):
        assert_error(written.call(written.there, *words), 1, f"A process works in {head}.")
    written.check(*words)
    written.check_contents()


def test_compact_and_gc_on_a_store_leave_what_they_leave_on_a_disk(four_runs: Both, gateway: Gateway) -> None:
    root = f"--data-root={ROOT}"
    assert "4 shards become 1" in four_runs.check("compact", root)
    four_runs.check_contents()
    assert "nothing to merge" in four_runs.check("compact", root)
    with started(SHARER, four_runs.there):
        under_way = four_runs.call(four_runs.there, "gc", "--keep-runs=1", "--yes", root)
    assert_error(under_way, 1, "A run is under way")
    four_runs.check_contents()
    four_runs.check("gc", "--keep-runs=1", "--dry-run", root)
    with gateway.counting() as counted:
        listed = four_runs.check("gc", "--keep-runs=1", "--dry-run", "--json", root)
    # A listing a stage, and each record and manifest once or twice; not one request a file.
    assert counted.total() < listed.count('"path"') + 60
    assert "Everything that stays is complete." in four_runs.check("gc", "--keep-runs=1", "--yes", root)
    four_runs.check_contents()
    assert four_runs.check("gc", "--keep-runs=1", "--yes", root).startswith("Nothing to remove: 2 runs stay")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("s3://", "names no bucket"), ("ftp://host/data", "is nowhere that files are kept")],
)
def test_an_address_that_cannot_be_is_an_error_of_usage(address: str, sentence: str) -> None:
    for name in ("history", "gc", "compact", "open"):
        assert_error(verb(name, f"--data-root={address}"), 2, sentence)
    done = verb("inspect", address)
    assert (done.code, done.errors.count("\n")) == (1, 1)


def test_a_store_that_refuses_the_credentials_is_named_in_a_sentence_without_them(
    read: Both, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", f"{object_store.secret}-of-another")
        forget_stores()
        done = verb("history", f"--data-root={read.there}")
    forget_stores()
    assert (done.code, done.output, done.errors.count("\n")) == (1, "", 1)
    assert done.errors.startswith("The object store cannot be used")
    assert object_store.secret not in done.errors

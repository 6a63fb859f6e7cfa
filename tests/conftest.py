"""Fixtures of all tests."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tasks.paths import _OPTIONS, AnyPath, to_path
from tasks.storage.layout import DataRoot
from tests.support.repository import REPOSITORY
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore, forget_stores, other_machine, serving

# On a busy machine the time of an example says nothing.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

FLOWER_PHOTOS = REPOSITORY.parent / "shared" / "flower_photos"


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C reach the commands of tests, which inherit that a shell's background job ignores it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def flower_photos() -> Path:
    """The folder of 2,000 real photos beside a developer's checkout; without it the test is skipped."""
    if not FLOWER_PHOTOS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the photos at {FLOWER_PHOTOS}")
        pytest.skip(f"no photos at {FLOWER_PHOTOS}")
    return FLOWER_PHOTOS


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    """A data root with nothing in it."""
    return DataRoot(tmp_path)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A real object store on this machine, which this process and its children find by their environment."""
    with serving() as store, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
            patch.delenv(name, raising=False)
        for name, value in store.environment.items():
            patch.setenv(name, value)
        forget_stores()
        yield store


@pytest.fixture
def gateway(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway between this test and the object store."""
    with Gateway(object_store.port).serving() as gateway:
        monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.address)
        monkeypatch.setitem(object_store.environment, "AWS_ENDPOINT_URL", gateway.address)
        forget_stores()
        yield gateway
    forget_stores()


@pytest.fixture
def impatient(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The object store without retries of failed requests, which take half a minute."""
    monkeypatch.setitem(_OPTIONS["s3"]["config_kwargs"], "retries", {"mode": "standard", "max_attempts": 0})
    forget_stores()
    yield object_store
    forget_stores()


@pytest.fixture
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine for this test, which has fetched nothing yet; see `other_machine`."""
    other_machine(monkeypatch, tmp_path)


@pytest.fixture
def far_root(object_store: ObjectStore) -> AnyPath:
    """A data root on a store that does not exist yet."""
    return to_path(object_store.url("data"))


@pytest.fixture
def _own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty scratch for this test and the processes that it starts."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tasks.storage.tempfiles._own", {})


@pytest.fixture
def far(object_store: ObjectStore, _own_scratch: None) -> AnyPath:
    """A missing folder of an object store; its name has wildcards of the store's library."""
    return to_path(object_store.url("[1] a*b?"))


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    """An empty folder of this machine, or a missing one of an object store."""
    if request.param == "remote":
        path: AnyPath = request.getfixturevalue("far")
        return path
    here = tmp_path / "[1] a*b?"
    here.mkdir()
    return here


@pytest.fixture(scope="module")
def classic_root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot[Path]:
    """A data root with a classic head and its checkpoints; see `tests.train.data_root`."""
    from tests.train.data_root import fill, train  # noqa: PLC0415 (imports TensorFlow)

    root = DataRoot(tmp_path_factory.mktemp("classic") / "data")
    fill(root)
    train(root)
    return root

"""The cache of networks: one process makes a network, and a damaged one is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.bottleneck.network_cache import cached_network
from tasks.paths import AnyPath, to_path
from tasks.storage.errors import DamagedError
from tests.support.servers.object_store import ObjectStore


class Maker:
    """Makes a network of a few bytes, and counts how often."""

    made = 0

    def __call__(self) -> bytes:
        """Make it."""
        self.made += 1
        return b"a network"


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    if request.param == "local":
        return tmp_path / "bottleneck"
    store: ObjectStore = request.getfixturevalue("object_store")
    return to_path(store.url("bottleneck"))


def test_network_of_a_kind_is_made_once_and_refused_once_it_is_damaged(folder: AnyPath) -> None:
    make = Maker()
    for _ in range(2):
        assert cached_network(folder, "int8", ".tflite", make) == b"a network"
    assert make.made == 1
    cached_network(folder, "openvino", ".zip", make)
    assert make.made == 2, "another kind of network"
    (cached,) = [path for path in folder.iterdir() if path.name.startswith("int8-")]
    assert (cached.suffix, cached.read_bytes()) == (".tflite", b"a network")
    cached.write_bytes(b"another")
    with pytest.raises(DamagedError, match=rf"{cached.name} is damaged.* Delete it and run again"):
        cached_network(folder, "int8", ".tflite", make)


def test_of_several_threads_that_need_a_network_one_makes_it(tmp_path: Path) -> None:
    make = Maker()
    with ThreadPoolExecutor(4) as pool:
        networks = list(pool.map(lambda _: cached_network(tmp_path, "int8", ".tflite", make), range(4)))
    assert (networks, make.made) == ([b"a network"] * 4, 1)

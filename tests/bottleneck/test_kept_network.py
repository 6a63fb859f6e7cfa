"""Networks beside the bottlenecks: made once, by one process of many, and refused where they are damaged."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.bottleneck.kept_network import kept_network
from tasks.paths import AnyPath, to_path
from tasks.storage.errors import DamagedError
from tests.support.servers.object_store import ObjectStore


class Maker:
    """Makes a network that is only a few bytes, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> bytes:
        """Make it."""
        self.made += 1
        return b"a network"


@pytest.fixture(params=["here", "on an object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    if request.param == "here":
        return tmp_path / "bottleneck"
    store: ObjectStore = request.getfixturevalue("object_store")
    return to_path(store.url("bottleneck"))


def test_a_network_is_made_once_and_read_from_where_it_is_kept(folder: AnyPath) -> None:
    make = Maker()
    for _ in range(2):
        assert kept_network(folder, "int8", ".tflite", make) == b"a network"
    assert make.made == 1
    (kept,) = [path for path in folder.iterdir() if path.name.startswith("int8-")]
    assert kept.suffix == ".tflite"
    assert kept.read_bytes() == b"a network"


def test_of_several_that_want_a_network_at_once_one_makes_it(tmp_path: Path) -> None:
    make = Maker()
    with ThreadPoolExecutor(4) as pool:
        networks = list(pool.map(lambda _: kept_network(tmp_path, "int8", ".tflite", make), range(4)))
    assert networks == [b"a network"] * 4
    assert make.made == 1


def test_a_network_of_another_kind_is_none(tmp_path: Path) -> None:
    kept_network(tmp_path, "int8", ".tflite", Maker())
    make = Maker()
    kept_network(tmp_path, "openvino", ".zip", make)
    assert make.made == 1


def test_a_damaged_network_is_an_error_that_says_what_to_delete(folder: AnyPath) -> None:
    kept_network(folder, "int8", ".tflite", Maker())
    (kept,) = [path for path in folder.iterdir() if path.name.startswith("int8-")]
    kept.write_bytes(b"another")
    with pytest.raises(DamagedError, match=rf"{kept.name} is damaged.* Delete it and run again"):
        kept_network(folder, "int8", ".tflite", Maker())

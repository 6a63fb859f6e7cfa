"""A survey of an object store equals that of a disk, and takes one listing."""

from pathlib import Path

import pytest

from tasks.paths import AnyPath, to_path
from tasks.storage.files import is_there, lock_folder, publish_bytes, publish_folder, read_each, storage_at
from tasks.storage.layout import DataRoot
from tasks.storage.removal import measure, remove
from tasks.storage.survey import DiskUsage
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore

FILES = {"a.json": 1, "head/manifest.json": 2, "head/damaged/part.parquet": 30, "head/[1] a*?.json": 4, "photos/x/y": 5}


def fill(root: AnyPath) -> AnyPath:
    for name, size in FILES.items():
        publish_bytes(root / name, b"x" * size)
    return root


@pytest.fixture
def here(tmp_path: Path) -> AnyPath:
    return fill(tmp_path / "data")


@pytest.fixture
def there(object_store: ObjectStore) -> AnyPath:
    """The same on a store, with what is there for its own sake: a lease, and the mark of a folder."""
    root = fill(to_path(object_store.url("data")))
    with publish_folder(root / "head" / "export") as folder:
        (folder / "model").write_bytes(b"x" * 6)
    with lock_folder(root / "head"):
        pass
    remove(root / "head" / "export" / "model", DataRoot(root))
    return root


def answers(root: AnyPath, apart: tuple[str, ...]) -> list[object]:
    """All answers of a survey, by names relative to the root."""
    found = storage_at(root).survey(root, apart)
    places = [root, *(root / name for name in (*FILES, "head", "head/damaged", "photos", "photos/x", "nothing"))]
    names = [[path.name for path in found.entries(place)] for place in places]
    kinds = [(found.is_folder(place), found.is_file(place)) for place in places]
    sizes = [found.measure(place) for place in places]
    jsons = [str(path).removeprefix(f"{root}/") for path in found.named(root / "head", "*.json")]
    return [names, kinds, sizes, jsons, [path.name for path in found.named(root / "photos", "*")]]


@pytest.mark.parametrize("apart", [(), ("photos",)], ids=["whole", "a folder apart"])
def test_a_survey_of_a_store_equals_that_of_a_disk(here: AnyPath, there: AnyPath, apart: tuple[str, ...]) -> None:
    assert answers(there, apart) == answers(here, apart)
    assert storage_at(there).survey(there).measure(there) == measure(there) == measure(here) == DiskUsage(5, 42)


def test_a_survey_of_a_store_takes_one_listing(there: AnyPath, gateway: Gateway) -> None:
    there = to_path(str(there))
    with gateway.counting() as counted:
        answers(there, ())
    assert counted == {"LIST": 1}


def test_the_time_of_a_write_is_in_the_listing(there: AnyPath) -> None:
    found = storage_at(there).survey(there)
    publish_bytes(there / "b.json", b"")
    assert abs(storage_at(there).survey(there).modified(there / "b.json") - found.modified(there / "a.json")) < 60


def test_parallel_reads_come_in_order(there: AnyPath) -> None:
    paths = [there / name for name in FILES]
    assert list(read_each(lambda path: len(path.read_bytes()), paths, there)) == list(FILES.values())


def test_a_folder_of_a_store_is_removed_with_its_mark(there: AnyPath) -> None:
    with publish_folder(there / "photos" / "export") as folder:
        (folder / "1 [a].jpg").write_bytes(b"x")
        (folder / "1 a.jpg").write_bytes(b"x")
    remove(there / "photos" / "export", DataRoot(there))
    assert not is_there(there / "photos" / "export")
    assert measure(there / "photos") == DiskUsage(1, 5)
    for _ in range(2):
        remove(there / "head", DataRoot(there))
    assert storage_at(there).survey(there).entries(there) == [there / "a.json", there / "photos"]

"""Contract of the storage: files and folders exist completely or not at all, here and on an object store."""

import json
import os
import re
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.keys import file_sha256
from tasks.paths import AnyPath, to_path
from tasks.storage.files import (
    is_folder,
    is_there,
    listed,
    local,
    publish_bytes,
    publish_folder,
    publish_json,
    publishing,
    read_bytes,
    read_json,
    storage_at,
    sweep,
)
from tasks.storage.removal import measure
from tasks.storage.survey import DiskUsage
from tests.storage.folders import names, publish_two
from tests.storage.processes import started
from tests.support.processes import TIMEOUT
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore

Verb = Callable[[AnyPath], AbstractContextManager[Path]]

#: Writes half of a file or folder under the temporary name.
WRITER = """
import sys
from tasks.paths import to_path
from tasks.storage.files import publish_folder, publishing

kind, path = sys.argv[1], to_path(sys.argv[2])
with (publish_folder if kind == "folder" else publishing)(path) as temporary:
    file = temporary / "inside" if kind == "folder" else temporary
    file.write_text("half")
    print("ready", flush=True)
    sys.stdin.readline()
"""

both = pytest.mark.parametrize("verb", [publishing, publish_folder])


def write(verb: Verb, temporary: Path, text: str) -> None:
    (temporary / "inside" if verb is publish_folder else temporary).write_text(text)


def fail(verb: Verb, path: AnyPath, error: BaseException) -> None:
    with verb(path) as temporary:
        write(verb, temporary, "half")
        raise error


def read(path: AnyPath) -> str:
    return read_bytes(path / "inside" if is_folder(path) else path).decode()


def temporaries(folder: AnyPath) -> list[str]:
    return [path.name for path in storage_at(folder).scratch_for(folder).glob(".tmp-*")]


@both
def test_it_appears_when_the_block_ends_and_nothing_else_does(verb: Verb, folder: AnyPath) -> None:
    path = folder / "not" / "there" / "yet"
    with verb(path) as temporary:
        write(verb, temporary, "whole")
        assert not path.exists()
        assert temporary.parent == storage_at(path).scratch_for(path.parent)
    assert read(path) == "whole"
    assert names(path.parent) == ["yet"]


@both
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(verb: Verb, error: type[BaseException], folder: AnyPath) -> None:
    with pytest.raises(error):
        fail(verb, folder / "thing", error())
    assert names(folder) == temporaries(folder) == []


def test_a_file_is_replaced_as_a_whole_and_survives_an_exception(folder: AnyPath) -> None:
    for data in (b"", b"old", os.urandom(200_000)):
        publish_bytes(folder / "thing", data)
        assert read_bytes(folder / "thing") == data
    with pytest.raises(ValueError, match="half"):
        fail(publishing, folder / "thing", ValueError("half"))
    assert read_bytes(folder / "thing") == data
    assert file_sha256(folder / "thing") == file_sha256(local(folder / "thing"))
    assert names(folder) == ["thing"]


def test_a_folder_published_twice_keeps_the_first_and_that_of_an_object_store_has_the_second(folder: AnyPath) -> None:
    for text in ("first", "second"):
        with publish_folder(folder / "thing") as temporary:
            write(publish_folder, temporary, text)
        assert is_there(folder / "thing")
    assert read(folder / "thing") == ("first" if storage_at(folder).has_folders else "second")
    assert names(folder) == ["thing"]


def test_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"a file")
    with pytest.raises(NotADirectoryError), publish_folder(tmp_path / "thing"):
        pass
    assert read(tmp_path / "thing") == "a file"
    assert names(tmp_path) == ["thing"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_writer_publishes_nothing_and_leaves_a_temporary_to_sweep(kind: str, folder: AnyPath) -> None:
    with started(WRITER, kind, folder / "thing") as process:
        sweep(folder)
        assert len(temporaries(folder)) == 1
        process.send_signal(signal.SIGKILL)
        assert process.wait(TIMEOUT) == -signal.SIGKILL
    assert not (folder / "thing").exists()
    assert not is_there(folder / "thing")
    assert len(temporaries(folder)) == 1
    sweep(folder)
    assert names(folder) == temporaries(folder) == []


def test_sweeping_without_pause_never_takes_a_file_from_its_writer(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep_on() -> None:
        while not done.is_set():
            sweep(tmp_path)

    sweepers = [threading.Thread(target=sweep_on) for _ in range(3)]
    for thread in sweepers:
        thread.start()
    try:
        for number in range(60):
            publish_bytes(tmp_path / f"{number}", b"whole")
    finally:
        done.set()
        for thread in sweepers:
            thread.join()
    assert len(names(tmp_path)) == 60


def test_a_sweep_leaves_other_files_and_subfolders(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "thing", b"whole")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".tmp-left").touch()
    sweep(tmp_path)
    sweep(tmp_path / "missing")
    assert names(tmp_path) == ["below", "thing"]
    assert names(tmp_path / "below") == [".tmp-left"]


@pytest.mark.parametrize("name", ["花" * 80 + ".parquet", "a" * 255, "🌼" * 63], ids=["3 bytes", "1 byte", "4 bytes"])
def test_the_longest_names_can_be_published_and_no_parquet_query_finds_temporaries(name: str, tmp_path: Path) -> None:
    with publishing(tmp_path / name):
        assert len(names(tmp_path)) == 1
        assert list(tmp_path.glob("*.parquet")) == []
    assert names(tmp_path) == [name]


def test_json_is_readable_and_read_as_it_was_written(folder: AnyPath) -> None:
    # The last text is of a path that is not UTF-8.
    value = {
        "labels": ["Gänseblümchen", "蒲公英"],
        "a": [1, 2.5, None, True],
        "b": rb"c:\udc80\r\xe9sum\xe9".decode("utf-8", "surrogateescape"),
    }
    publish_json(folder / "value.json", value)
    text = read_bytes(folder / "value.json").decode()
    assert text.splitlines()[2] == '    "Gänseblümchen",'
    assert text.endswith("}\n")
    assert read_json(folder / "value.json") == value == json.loads(text)


def test_json_that_other_tools_cannot_read_is_refused_and_damaged_json_named_with_the_remedy(folder: AnyPath) -> None:
    path = folder / "record.json"
    with pytest.raises(ValueError, match="JSON"):
        publish_json(path, {"loss": float("nan")})
    assert names(folder) == []
    says = rf"^{re.escape(str(path))} is damaged .*\. Delete it; the next run writes it again\.$"
    for data in (b"", b'{"half": ', b"\xff\xfe\xfd"):
        publish_bytes(path, data)
        with pytest.raises(StoreError, match=says):
            read_json(path)


def test_a_missing_file_is_not_found(folder: AnyPath) -> None:
    for use in (read_bytes, read_json, file_sha256, lambda path: file_sha256(local(path))):
        with pytest.raises(FileNotFoundError):
            use(folder / "it.json")
    assert names(folder / "it") == listed(folder / "it") == list(storage_at(folder).files_below(folder / "it")) == []
    assert storage_at(folder).version(folder / "it") == ""
    assert not is_folder(folder / "it")
    assert measure(folder / "it") == DiskUsage(0, 0)
    storage_at(folder).remove_files([folder / "it.json", folder / "other.json"])


def test_a_folder_is_listed_a_level_at_a_time_or_with_all_below_it(folder: AnyPath) -> None:
    publish_two(folder)
    storage = storage_at(folder)
    assert storage.list_folder(folder) == (["below"], ["two"])
    assert [path.name for path in listed(folder)] == ["below", "two"]
    assert [path.name for path in listed(folder, "t*")] == ["two"]
    assert sorted((found.path, found.size) for found in storage.files_below(folder)) == [("below/one", 1), ("two", 2)]
    assert [is_folder(folder / name) for name in ("below", "two")] == [True, False]


def test_links_are_listed_as_what_they_lead_to_and_circular_and_broken_ones_as_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, target in {"link": "folder", "circle": "circle", "broken": "nowhere"}.items():
        (tmp_path / name).symlink_to(target)
    folders, files = storage_at(tmp_path).list_folder(tmp_path)
    assert (sorted(folders), sorted(files)) == (["folder", "link"], ["broken", "circle"])


def test_a_version_changes_with_a_file_and_with_any_file_of_a_folder(folder: AnyPath) -> None:
    publish_two(folder / "it")

    def versions() -> list[str]:
        return [storage_at(folder).version(path) for path in (folder / "it", folder / "it" / "below" / "one")]

    before = versions()
    assert versions() == before
    publish_bytes(folder / "it" / "below" / "one", b"2")
    assert set(before).isdisjoint(versions())


def test_only_the_named_files_are_moved_or_removed(folder: AnyPath) -> None:
    signs = "[1]*?"
    for name in (signs, "1", "plain2"):
        publish_bytes(folder / "files" / name, name.encode())
        publish_two(folder / "folders" / name)
    storage_at(folder).move(folder / "files" / signs, folder / "files" / "damaged" / signs)
    storage_at(folder).move(folder / "folders" / signs, folder / "damaged" / signs)
    assert read_bytes(folder / "files" / "damaged" / signs) == signs.encode()
    assert measure(folder / "damaged" / signs) == DiskUsage(2, 3)
    assert names(folder / "files") == ["1", "damaged", "plain2"]
    assert [measure(folder / "folders" / name).files for name in (signs, "1", "plain2")] == [0, 2, 2]
    assert [is_there(folder / "folders" / name) for name in (signs, "1", "plain2")] == [False, True, True]
    storage_at(folder).remove_files([folder / "files" / "damaged" / signs])
    for _ in range(2):
        storage_at(folder).discard(folder / "damaged" / signs)
    assert measure(folder / "damaged") == DiskUsage(0, 0)
    assert measure(folder / "files") == DiskUsage(2, len("1plain2"))


def test_a_pointer_names_a_neighbour_and_is_replaced_as_one_step(folder: AnyPath) -> None:
    storage, path = storage_at(folder), folder / "current"
    assert storage.read_pointer(path) is None
    for name in ("one", "two"):
        publish_bytes(folder / name / "file", name.encode())
        storage.put_pointer(path, name)
        assert storage.read_pointer(path) == name
    assert names(folder) == ["current", "one", "two"]
    if storage.has_folders:
        assert read_bytes(path / "file") == b"two"
    else:
        assert read_bytes(path) == b"two"


def test_a_pointer_that_a_crashed_writer_left_is_swept(tmp_path: Path) -> None:
    for target in ("folder", "missing"):
        (tmp_path / f".tmp-{target}-0123456789ab").symlink_to(target)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    sweep(tmp_path)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["file"]


def test_the_last_file_of_a_folder_appears_after_all_others(gateway: Gateway, object_store: ObjectStore) -> None:
    with publish_folder(to_path(object_store.url("last")), last="b") as temporary:
        for name in "abc":
            (temporary / name).write_text(name)
    puts = [request.key.rpartition("/")[2] for request in gateway.seen if request.kind == "PUT"]
    assert {*puts[:2]} == {"a", "c"}
    assert puts[2:] == ["b", ".last.whole"]
    without = to_path(object_store.url("without"))
    with publish_folder(without, last="missing") as temporary:
        (temporary / "a").touch()
    assert is_there(without)

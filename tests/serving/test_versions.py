"""Versions of the champion for model servers: their numbers, their files, and `current`."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from pathlib import Path

import pytest

from tasks.champion.champion_file import publish_champion
from tasks.errors import StoreError
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.serving.versions import (
    ServedVersion,
    ServingState,
    current_version,
    serve_champion,
    served_state,
    served_versions,
)
from tasks.storage.files import lock_folder, publish_bytes
from tasks.storage.layout import DataRoot
from tests.serving.exports import BIG, LASTING, crown, keep_export, model_of, names_in, numbers, served, template_of
from tests.support.data_root import DATASET, first_champion
from tests.support.servers.object_store import ObjectStore


def serve(root: DataRoot, keep: int = 3) -> ServingState:
    return serve_champion(root, DATASET, keep, NullProgress())


def is_served(root: DataRoot) -> bool:
    return not served_state(root, DATASET).due


def choose(root: DataRoot, model: str, *, export: bool = True) -> None:
    """Make a model champion."""
    if export:
        keep_export(root, model)
    publish_champion(root.champion(DATASET), DATASET, first_champion(model))


@pytest.fixture(params=["local", "remote"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> DataRoot:
    """An empty data root on a disk or an object store."""
    if request.param == "local":
        return DataRoot(tmp_path)
    store: ObjectStore = request.getfixturevalue("object_store")
    request.getfixturevalue("own_machine")
    return DataRoot(to_path(store.url("data")))


def test_a_champion_appears_under_the_next_number_with_the_saved_model_at_the_top(anywhere: DataRoot) -> None:
    for number, model in enumerate(("a" * 16, "b" * 16), 1):
        choose(anywhere, model)
        assert not is_served(anywhere)
        version = ServedVersion(number, model)
        assert serve(anywhere) == ServingState(version, model, published=True)
        assert current_version(anywhere, DATASET) == version
        assert is_served(anywhere)
        assert served(anywhere) == model
        assert names_in(anywhere.serving(DATASET) / str(number)) == {*LASTING, *BIG, "version.json"}
    assert numbers(anywhere) == [1, 2]


def test_nothing_happens_if_the_newest_version_is_the_champion(anywhere: DataRoot) -> None:
    choose(anywhere, "a" * 16)
    serve(anywhere)
    assert serve(anywhere) == ServingState(ServedVersion(1, "a" * 16), "a" * 16)
    assert numbers(anywhere) == [1]


def test_old_versions_go_and_others_lose_the_files_that_models_cannot_share(anywhere: DataRoot) -> None:
    for letter in "abcd":
        choose(anywhere, letter * 16)
        serve(anywhere, keep=2)
    assert numbers(anywhere) == [3, 4]
    folder = anywhere.serving(DATASET)
    assert model_of(folder / "3") == "c" * 16
    assert names_in(folder / "4") - names_in(folder / "3") == set(BIG)
    # The template keeps its files.
    assert names_in(template_of(anywhere, "c" * 16)) >= set(BIG)


def test_the_current_version_is_kept_alone(root: DataRoot[Path]) -> None:
    for letter in "ab":
        choose(root, letter * 16)
        serve(root, keep=1)
    assert numbers(root) == [2]
    assert served(root) == "b" * 16


def test_a_model_that_is_champion_again_gets_a_number_of_its_own(root: DataRoot[Path]) -> None:
    for letter in "aba":
        choose(root, letter * 16)
        serve(root)
    assert numbers(root) == [1, 2, 3]
    assert served(root) == "a" * 16


def test_a_champion_without_an_export_leaves_the_version_before(anywhere: DataRoot) -> None:
    choose(anywhere, "a" * 16)
    serve(anywhere)
    choose(anywhere, "b" * 16, export=False)
    assert is_served(anywhere), "there is nothing to do"
    obstacle = f"the champion {'b' * 16} has no export"
    before = ServedVersion(1, "a" * 16)
    assert serve(anywhere) == ServingState(before, "b" * 16, obstacle)
    assert served(anywhere) == "a" * 16
    keep_export(anywhere, "b" * 16)
    assert not is_served(anywhere)
    assert serve(anywhere).version == ServedVersion(2, "b" * 16)


def test_without_a_champion_there_is_no_version(root: DataRoot[Path]) -> None:
    assert is_served(root)
    assert serve(root) == ServingState(None, None, "the dataset has no champion")
    assert numbers(root) == []


def test_a_damaged_file_of_the_champion_is_refused(root: DataRoot[Path]) -> None:
    publish_bytes(root.champion(DATASET), b"{")
    for look in (is_served, serve):
        with pytest.raises(StoreError, match=r"flowers\.json"):
            look(root)


def test_shared_files_are_links_to_those_of_the_template_and_current_is_a_relative_link(root: DataRoot[Path]) -> None:
    choose(root, "a" * 16)
    serve(root)
    for name in ("saved_model.pb", "variables/variables.index"):
        assert (root.serving(DATASET) / "1" / name).samefile(Path(f"{template_of(root, 'a' * 16)}", name))
    assert os.readlink(root.serving(DATASET) / "current") == "1"  # noqa: PTH115 (as it is stored)
    shutil.rmtree(root.train("a" * 16))
    assert served(root) == "a" * 16


@pytest.mark.usefixtures("own_machine")
def test_an_upload_that_was_killed_is_no_version_and_its_number_is_not_used_again(object_store: ObjectStore) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    choose(root, "a" * 16)
    serve(root)
    publish_bytes(root.serving(DATASET) / "2" / "labels.txt", b"half")
    assert served_versions(root, DATASET) == [ServedVersion(1, "a" * 16)]
    choose(root, "b" * 16)
    assert serve(root).version == ServedVersion(3, "b" * 16)
    assert numbers(root) == [1, 3]


def test_a_version_that_was_published_before_a_kill_becomes_current(root: DataRoot[Path]) -> None:
    choose(root, "a" * 16)
    serve(root)
    choose(root, "b" * 16)
    serve(root)
    root.storage.put_pointer(root.serving(DATASET) / "current", "1")
    assert not is_served(root)
    assert serve(root) == ServingState(ServedVersion(2, "b" * 16), "b" * 16)
    assert served(root) == "b" * 16


def test_a_version_newer_than_current_that_is_not_the_champion_is_followed_by_another(root: DataRoot[Path]) -> None:
    """Servers load the largest number, whatever `current` says."""
    for letter in "ab":
        choose(root, letter * 16)
        serve(root)
    root.storage.put_pointer(root.serving(DATASET) / "current", "1")
    choose(root, "a" * 16)
    assert not is_served(root)
    assert serve(root).version == ServedVersion(3, "a" * 16)


def test_leftovers_of_a_killed_publisher_go_and_files_of_others_stay(root: DataRoot[Path]) -> None:
    folder = root.serving(DATASET)
    (folder / ".tmp-1-0123456789ab").mkdir(parents=True)
    (folder / ".tmp-current-0123456789ab").symlink_to("1")
    for name in ("notes", "007", "-1"):
        (folder / name).mkdir()
    choose(root, "a" * 16)
    serve(root)
    assert {path.name for path in folder.iterdir()} == {"1", "current", "notes", "007", "-1"}


def test_a_second_publisher_waits_for_the_first(root: DataRoot[Path]) -> None:
    choose(root, "a" * 16)
    with ThreadPoolExecutor(1) as pool:
        with lock_folder(root.serving(DATASET)):
            waiting = pool.submit(serve, root)
            with pytest.raises(TooLateError):
                waiting.result(0.3)
        assert waiting.result(60).published


def test_champions_of_runs_are_served(root: DataRoot[Path]) -> None:
    for seed in (0, 1):
        model = crown(root, seed)
        serve(root)
        assert served(root) == model

"""Files of an exported model, written elsewhere."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.export.files import is_exported, is_shareable, write_export
from tasks.paths import to_path
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import manifest_of
from tests.serving.exports import BIG, LASTING, keep_export
from tests.support.servers.object_store import ObjectStore

MODEL = "a" * 16
NAMES = (*LASTING, *BIG)


def contents(folder: Path) -> dict[str, str]:
    return {f"{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder beside the data root."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.mark.parametrize("linked", [False, True])
def test_all_files_are_written_with_those_of_the_saved_model_at_the_top(
    root: DataRoot[Path], folder: Path, *, linked: bool
) -> None:
    keep_export(root, MODEL)
    assert is_exported(MODEL, root)
    assert write_export(MODEL, root, folder, linked=linked)
    assert contents(folder) == {name: f"{name} of {MODEL}" for name in NAMES}
    assert (folder / "saved_model.pb").stat().st_nlink == 1 + linked


def test_files_are_copied_where_they_cannot_be_linked(
    root: DataRoot[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    keep_export(root, MODEL)
    assert write_export(MODEL, root, folder, linked=True)
    assert contents(folder) == {name: f"{name} of {MODEL}" for name in NAMES}
    assert (folder / "saved_model.pb").stat().st_nlink == 1


@pytest.mark.usefixtures("own_machine")
def test_files_of_an_object_store_are_fetched(object_store: ObjectStore, folder: Path) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    keep_export(root, MODEL)
    assert write_export(MODEL, root, folder)
    assert contents(folder) == {name: f"{name} of {MODEL}" for name in NAMES}


@pytest.mark.parametrize("refused", [False, True])
def test_a_model_without_an_export_writes_nothing(root: DataRoot[Path], folder: Path, *, refused: bool) -> None:
    if refused:
        details = {"test": {"saved_model": {"agreement": 0.5}}, "refused": "They disagree."}
        replace(manifest_of("export", 0, []), details=details).publish(root.export(MODEL) / "manifest.json")
    assert not is_exported(MODEL, root)
    assert not write_export(MODEL, root, folder)
    assert contents(folder) == {}


def test_files_that_hold_a_whole_network_are_not_shareable() -> None:
    assert {name for name in NAMES if not is_shareable(name)} == set(BIG)

"""The file that names the champion."""

import json
from pathlib import Path

import pytest

from tasks.champion.champion_file import publish_champion, read_champion
from tasks.errors import StoreError
from tests.champion.models import crowned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "champion" / "flowers.json"


def test_the_champion_is_read_as_it_was_written(path: Path) -> None:
    publish_champion(path, "flowers", crowned("model"))
    assert read_champion(path) == crowned("model")


def test_a_person_finds_who_is_champion_and_since_when_at_the_top(path: Path) -> None:
    publish_champion(path, "flowers", crowned("model"))
    told = json.loads(path.read_text())
    assert [told[name] for name in ("dataset", "champion", "since", "evaluation")] == [
        "flowers",
        "model",
        "2026-11-20",
        "before",
    ]


def test_without_a_file_there_is_no_champion(path: Path) -> None:
    assert read_champion(path) is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null"])
def test_a_damaged_file_is_named(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(StoreError, match=r"flowers\.json"):
        read_champion(path)


@pytest.mark.parametrize("changes", [{"schema_version": 99}, {"since": "soon"}, {"decision": {}}])
def test_a_file_of_another_version_is_named(path: Path, changes: dict[str, object]) -> None:
    publish_champion(path, "flowers", crowned("model"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(StoreError):
        read_champion(path)

"""The file that names the champion."""

import json
from pathlib import Path

import pytest

from tasks.champion.champion_file import publish_champion, read_champion
from tasks.errors import StoreError
from tests.support.data_root import first_champion


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "champion" / "flowers.json"


def test_the_champion_is_read_as_it_was_written_and_a_person_finds_it_at_the_top(path: Path) -> None:
    assert read_champion(path) is None
    publish_champion(path, "flowers", first_champion("model"))
    assert read_champion(path) == first_champion("model")
    top = {"schema_version": 1, "dataset": "flowers", "champion": "model", "since": "2026-11-24"}
    assert list(json.loads(path.read_text()).items())[:4] == list(top.items())


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null", {"schema_version": 99}, {"since": "soon"}, {"decision": {}}])
def test_a_file_that_is_damaged_or_of_another_version_is_refused(path: Path, text: str | dict[str, object]) -> None:
    publish_champion(path, "flowers", first_champion("model"))
    path.write_text(text if isinstance(text, str) else json.dumps({**json.loads(path.read_text()), **text}))
    with pytest.raises(StoreError, match=r"flowers\.json|forget champion"):
        read_champion(path)

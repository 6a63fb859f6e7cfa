"""The file that names the champion."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.champion.champion_file import PREDECESSORS, ChampionOrder, publish_champion, read_champion
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


def test_predecessors_and_orders_are_read_as_they_were_written(path: Path) -> None:
    time = dt.datetime(2026, 11, 24, 15, tzinfo=dt.UTC)
    champion = first_champion("first").succeeded_by(first_champion("second"))
    champion = replace(
        champion,
        pinned=time.date(),
        cause="pin",
        rolled_back=("bad",),
        orders=(ChampionOrder(time, "rollback", "first", "bad"), ChampionOrder(time, "pin", "second", "first")),
    )
    publish_champion(path, "flowers", champion)
    assert read_champion(path) == champion
    assert [former.model for former in champion.former] == ["first"]


def test_a_file_of_an_earlier_version_has_a_champion_of_a_run_and_no_predecessors(path: Path) -> None:
    publish_champion(path, "flowers", first_champion("model"))
    values = json.loads(path.read_text())
    for name in ("cause", "pinned", "former", "rolled_back", "orders"):
        del values[name]
    path.write_text(json.dumps(values))
    assert read_champion(path) == first_champion("model")


def test_a_champion_has_a_few_predecessors_in_their_order() -> None:
    champion = first_champion("0")
    for number in range(1, PREDECESSORS + 3):
        champion = champion.succeeded_by(first_champion(f"{number}"))
    assert [former.model for former in champion.former] == [f"{number}" for number in range(2, PREDECESSORS + 2)]
    assert all(former.former == () for former in champion.former)

"""The serving stage as Luigi sees it: its manifest, and when it is done."""

import datetime as dt
from pathlib import Path

import pytest

from tasks.champion.champion_file import publish_champion
from tasks.run_context import RunContext
from tasks.serving.task import ServeChampion
from tasks.storage.layout import DataRoot
from tests.serving.exports import keep_export, numbers, served
from tests.support.data_root import DATASET, DAY, first_champion

MODEL, OTHER = "a" * 16, "b" * 16


def task(root: DataRoot[Path], run: str = "run", keep: int = 3) -> ServeChampion:
    context = RunContext(data_root=str(root.path), run_id=run, snapshot="snap")
    return ServeChampion(context=context, dataset=DATASET, date=DAY, keep_versions=keep)


@pytest.fixture
def crowned(root: DataRoot[Path]) -> DataRoot[Path]:
    keep_export(root, MODEL)
    publish_champion(root.champion(DATASET), DATASET, first_champion(MODEL))
    return root


def test_the_manifest_names_the_version_and_its_model(crowned: DataRoot[Path]) -> None:
    own = task(crowned)
    assert not own.complete()
    own.run()
    manifest = own.manifest()
    assert (manifest.key, manifest.new, manifest.reused) == (MODEL, 1, 0)
    assert manifest.details == {"version": 1, "model": MODEL, "obstacle": ""}
    assert served(crowned) == MODEL


def test_it_is_done_for_later_runs_until_another_model_is_champion(crowned: DataRoot[Path]) -> None:
    task(crowned).run()
    assert task(crowned, "later").complete()
    keep_export(crowned, OTHER)
    publish_champion(crowned.champion(DATASET), DATASET, first_champion(OTHER))
    later = task(crowned, "later")
    assert not later.complete()
    later.run()
    assert later.manifest().details["version"] == 2


def test_a_version_that_a_person_published_is_told_by_the_next_run(crowned: DataRoot[Path]) -> None:
    task(crowned).run()
    keep_export(crowned, OTHER)
    for model in (OTHER, MODEL):
        publish_champion(crowned.champion(DATASET), DATASET, first_champion(model))
        task(crowned, model).run()
    manifest = task(crowned).manifest_path()
    text = manifest.read_text().replace('"version": 3', '"version": 1')
    manifest.write_text(text)
    later = task(crowned, "later")
    assert not later.complete()
    later.run()
    assert (later.manifest().details["version"], later.manifest().new, later.manifest().reused) == (3, 0, 1)


def test_a_champion_without_an_export_is_told_though_the_version_stays(crowned: DataRoot[Path]) -> None:
    task(crowned).run()
    publish_champion(crowned.champion(DATASET), DATASET, first_champion(OTHER))
    later = task(crowned, "later")
    assert not later.complete()
    later.run()
    obstacle = f"the champion {OTHER} has no export"
    assert later.manifest().details == {"version": 1, "model": MODEL, "obstacle": obstacle}


def test_a_damaged_file_of_the_champion_is_not_done(crowned: DataRoot[Path]) -> None:
    task(crowned).run()
    crowned.champion(DATASET).write_text("{")
    assert not task(crowned, "later").complete()


def test_a_champion_without_an_export_is_told_and_done(crowned: DataRoot[Path]) -> None:
    publish_champion(crowned.champion(DATASET), DATASET, first_champion(OTHER))
    task(crowned).run()
    details = task(crowned).manifest().details
    assert details == {"version": None, "model": None, "obstacle": f"the champion {OTHER} has no export"}
    assert task(crowned, "later").complete()
    keep_export(crowned, OTHER)
    assert not task(crowned, "later").complete()


def test_it_keeps_as_many_versions_as_asked_for(crowned: DataRoot[Path]) -> None:
    for number, letter in enumerate("abcd"):
        keep_export(crowned, letter * 16)
        champion = first_champion(letter * 16, DAY + dt.timedelta(number))
        publish_champion(crowned.champion(DATASET), DATASET, champion)
        task(crowned, letter, keep=2).run()
    assert numbers(crowned) == [3, 4]

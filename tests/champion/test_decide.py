"""Decisions that are kept: who is champion afterwards, also where a run was killed or two run at once."""

import datetime as dt
import shutil
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.champion.champion_file import Champion, ChampionOrder, publish_champion, read_champion
from tasks.champion.decide import DecisionInputs, decide
from tasks.champion.decision import Decision
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.storage.files import lock_folder
from tasks.storage.layout import DataRoot
from tests.champion.cases import case, inputs
from tests.support.data_root import DATASET, DAY, TEST, first_champion, keep_head, predict_as
from tests.support.progress import Tally
from tests.support.servers.object_store import ObjectStore

ALIKE = dict.fromkeys(range(20), ("daisy", "daisy", "test"))
WORSE = dict.fromkeys(range(20), ("daisy", "roses", "test"))
LATER = DAY + dt.timedelta(1)


def keep_champion(root: DataRoot) -> str:
    """Keep a champion that was right on all test photos, as the new model is; returns its key."""
    model, _ = keep_head(root)
    predict_as(root, "before", ALIKE)
    predict_as(root, "now", ALIKE)
    publish_champion(root.champion(DATASET), DATASET, first_champion(model))
    return model


@pytest.fixture
def old(root: DataRoot[Path]) -> str:
    return keep_champion(root)


def made(root: DataRoot[Path], new: DecisionInputs) -> Decision:
    return decide(new, inputs(root), NullProgress()).decision


def champion(root: DataRoot) -> Champion:
    now = read_champion(root.champion(DATASET))
    assert now is not None
    return now


def test_a_model_that_takes_the_place_is_kept_with_all_that_the_next_comparison_needs(
    root: DataRoot[Path], old: str
) -> None:
    decision, predicted, recalled = decide(case("new", date=LATER), inputs(root), NullProgress())
    assert (decision.verdict, decision.former, predicted, recalled) == ("new", old, 0, 20)
    former = (first_champion(old),)
    assert champion(root) == Champion("new", LATER, "now", "snap", "run", TEST, "key", decision, former=former)


def test_on_an_object_store_the_champion_is_kept_too_and_compared_with_what_it_said(object_store: ObjectStore) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    assert read_champion(root.champion(DATASET)) is None
    old = keep_champion(root)
    decision, _, recalled = decide(case("new", date=LATER), inputs(root, root.path), NullProgress())
    assert (decision.former, recalled) == (old, 20)
    assert champion(root).model == "new"
    assert not root.storage.is_locked(root.decisions(DATASET))


@pytest.mark.parametrize(("min_accuracy", "verdict"), [(0.0, "stays"), (0.9, "refused")])
def test_a_worse_or_refused_model_leaves_the_file_as_it_is(
    root: DataRoot[Path], old: str, min_accuracy: float, verdict: str
) -> None:
    predict_as(root, "now", WORSE)
    before = root.champion(DATASET).read_bytes()
    decision = made(root, case("new", date=LATER, min_accuracy=min_accuracy))
    assert (decision.verdict, decision.champion) == (verdict, old)
    assert root.champion(DATASET).read_bytes() == before


def test_a_refused_model_is_no_first_champion(root: DataRoot[Path]) -> None:
    assert made(root, case("new", min_accuracy=0.9)).champion is None
    assert not root.champion(DATASET).exists()


@pytest.mark.usefixtures("old")
def test_a_champion_from_a_day_that_is_yet_to_come_is_replaced_by_a_model_of_today(root: DataRoot[Path]) -> None:
    today = dt.date.today()
    was = champion(root)
    publish_champion(root.champion(DATASET), DATASET, replace(was, since=today + dt.timedelta(days=1000)))
    decision = made(root, case("new", date=today))
    assert (decision.verdict, decision.since) == ("new", today)


def test_a_run_that_was_killed_before_it_could_say_what_it_decided_decides_the_same(
    root: DataRoot[Path], old: str
) -> None:
    decision = made(root, case("new", date=LATER))
    after = root.champion(DATASET).read_bytes()
    # What it was compared with is no longer needed.
    shutil.rmtree(root.train(old))
    assert made(root, case("new", date=LATER)) == decision
    assert root.champion(DATASET).read_bytes() == after


def test_a_model_that_lost_is_compared_with_the_champion_of_now_when_it_is_decided_on_again(
    root: DataRoot[Path], old: str
) -> None:
    predict_as(root, "now", WORSE)
    assert made(root, case("new", "first try", LATER)).champion == old
    another, _ = keep_head(root, seed=1)
    predict_as(root, "another", WORSE)
    publish_champion(root.champion(DATASET), DATASET, first_champion(another, evaluation="another"))
    decision = made(root, case("new", "first try", LATER))
    assert (decision.verdict, decision.former) == ("new", another)


def test_the_champion_evaluated_anew_keeps_its_date_and_is_known_by_the_evaluation_that_is_there(
    root: DataRoot[Path], old: str
) -> None:
    assert made(root, case(old, date=LATER)).verdict == "same"
    now = champion(root)
    assert (now.model, now.since, now.evaluation, now.decided) == (old, DAY, "now", "decided")


def test_a_damaged_file_of_the_champion_makes_the_model_the_first_and_is_named(root: DataRoot[Path], old: str) -> None:
    assert old
    path = root.champion(DATASET)
    path.write_text("{")
    progress = Tally()
    decision = decide(case("new"), inputs(root), progress).decision
    assert (decision.verdict, decision.former, champion(root).model) == ("first", None, "new")
    assert str(path) in decision.reason
    assert str(path) in progress.lines[0]


def test_a_champion_whose_model_is_gone_makes_room_and_the_missing_file_is_told(root: DataRoot[Path], old: str) -> None:
    shutil.rmtree(root.train(old))
    progress = Tally()
    decision = decide(case("new", date=LATER), inputs(root), progress).decision
    assert (decision.verdict, decision.former, decision.comparison) == ("new", old, None)
    assert "its model is gone or damaged" in decision.reason
    assert str(root.train(old)) in progress.lines[0]


def test_what_a_crashed_run_left_beside_the_champions_is_cleared_up(root: DataRoot[Path]) -> None:
    left = root.champion(DATASET).with_name(".tmp-flowers.json-0123456789ab")
    left.parent.mkdir()
    left.touch()
    made(root, case("new"))
    assert not left.exists()


def test_a_second_decision_on_a_dataset_waits_for_the_first(root: DataRoot[Path]) -> None:
    with ThreadPoolExecutor(1) as pool:
        with lock_folder(root.decisions(DATASET)):
            waiting = pool.submit(made, root, case("new"))
            with pytest.raises(TooLateError):
                waiting.result(0.3)
            assert not root.champion(DATASET).exists()
        assert waiting.result(10).verdict == "first"


@pytest.mark.usefixtures("old")
def test_a_model_that_is_worse_on_a_label_leaves_the_champion_and_the_decision_has_the_figures(
    root: DataRoot[Path],
) -> None:
    better = dict.fromkeys(range(20, 40), ("roses", "roses", "test"))
    predict_as(root, "before", {**ALIKE, **dict.fromkeys(range(20, 40), ("roses", "daisy", "test"))})
    predict_as(root, "now", {**ALIKE, **dict.fromkeys(range(7), ("daisy", "roses", "test")), **better})
    decision = made(root, case("new", date=LATER))
    assert (decision.verdict, decision.kept_by) == ("stays", "label")
    assert decision.comparison is not None
    assert decision.comparison.better
    assert [(label.label, label.new_right, label.champion_right) for label in decision.comparison.worse_labels] == [
        ("daisy", 13, 20)
    ]


def test_a_new_champion_keeps_the_orders_of_persons_and_what_was_rolled_back(root: DataRoot[Path], old: str) -> None:
    order = ChampionOrder(dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "rollback", old, "bad")
    publish_champion(root.champion(DATASET), DATASET, replace(champion(root), rolled_back=("bad",), orders=(order,)))
    assert made(root, case("bad", date=LATER)).kept_by == "rollback"
    assert made(root, case("new", "another key", date=LATER)).verdict == "new"
    now = champion(root)
    assert (now.rolled_back, now.orders, [former.model for former in now.former]) == (("bad",), (order,), [old])

"""Orders of persons about the champion: who is champion afterwards, and what is refused."""

import datetime as dt
import shutil
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.champion.champion_file import PREDECESSORS, Champion, publish_champion, read_champion
from tasks.champion.orders import check_complete, find_evaluated, pin, promote, publish_order, roll_back, unpin
from tasks.errors import ModelError
from tasks.storage.files import lock_folder
from tasks.storage.layout import DataRoot
from tests.champion.test_task import BAD, GOOD, prepare
from tests.support.data_root import DATASET, TEST, first_champion

TODAY = dt.date.today()
OLD, NEW, OTHER = (first_champion(name) for name in ("old", "new", "other"))
#: A champion that took the place of another one.
SECOND = OLD.succeeded_by(NEW)


def last_order(champion: Champion) -> tuple[str, str, str | None]:
    order = champion.orders[-1]
    assert abs(dt.datetime.now(dt.UTC) - order.time) < dt.timedelta(days=1)
    return order.order, order.model, order.former


def test_a_rollback_restores_the_last_predecessor_from_today_on_and_names_the_model_before_it() -> None:
    after = roll_back(SECOND)
    assert (after.model, after.since, after.cause, after.former) == ("old", TODAY, "rollback", ())
    assert (after.evaluation, after.snapshot, after.test) == (OLD.evaluation, OLD.snapshot, OLD.test)
    assert after.rolled_back == ("new",)
    assert last_order(after) == ("rollback", "old", "new")


def test_rollbacks_go_back_one_predecessor_after_the_other() -> None:
    third = SECOND.succeeded_by(OTHER)
    first = roll_back(roll_back(third))
    assert (first.model, first.rolled_back) == ("old", ("other", "new"))
    with pytest.raises(ModelError, match="old has no predecessor to roll back to"):
        roll_back(first)


def test_a_model_that_was_rolled_back_is_promoted_by_a_person_and_may_win_again() -> None:
    after = promote(roll_back(SECOND), replace(NEW, cause="promotion"), "promotion")
    assert (after.model, after.cause, after.rolled_back) == ("new", "promotion", ())
    assert [former.model for former in after.former] == ["old"]
    assert last_order(after) == ("promotion", "new", "old")
    assert roll_back(after).model == "old"


def test_the_first_champion_may_be_promoted() -> None:
    after = promote(None, NEW, "promotion")
    assert (after.model, after.former) == ("new", ())
    assert last_order(after) == ("promotion", "new", None)


def test_the_promotion_of_the_champion_changes_nothing_so_that_a_killed_one_can_be_completed() -> None:
    assert promote(SECOND, NEW, "promotion") == SECOND


@pytest.mark.parametrize("model", [NEW, OTHER])
def test_a_pinned_model_is_champion_and_stays_until_it_is_unpinned(model: Champion) -> None:
    pinned = pin(SECOND, model)
    assert (pinned.model, pinned.pinned) == (model.model, TODAY)
    assert last_order(pinned) == ("pin", model.model, "new")
    for order in (lambda: roll_back(pinned), lambda: promote(pinned, OLD, "promotion"), lambda: pin(pinned, model)):
        with pytest.raises(ModelError, match=rf"{model.model} has been pinned since {TODAY}. Unpin it first"):
            order()
    free = unpin(pinned)
    assert (free.model, free.pinned, free.former) == (model.model, None, pinned.former)
    assert last_order(free) == ("unpin", model.model, model.model)
    with pytest.raises(ModelError, match="is not pinned"):
        unpin(free)


def test_an_order_is_told_in_a_sentence() -> None:
    day = f"on {roll_back(SECOND).orders[0].time.date()}"
    told = [str(after.orders[-1]) for after in (roll_back(SECOND), pin(SECOND, OTHER), pin(SECOND, NEW))]
    assert told == [
        f"A person rolled the champion back from new to old {day}.",
        f"A person pinned other {day}, in the place of new.",
        f"A person pinned new {day}.",
    ]


def test_a_model_that_lost_or_was_replaced_is_found_by_the_decision_on_it(root: DataRoot[Path]) -> None:
    tasks = [prepare(root, 0, GOOD), prepare(root, 1, BAD)]
    for task in tasks:
        task.run()
    model = tasks[1].manifest().details["model"]
    found = find_evaluated(model, "promotion", DATASET, root)
    expected = (model, TODAY, tasks[1].settings.key("snap"), "snap", "run", TEST, "", "promotion")
    assert (
        found.model,
        found.since,
        found.evaluation,
        found.snapshot,
        found.run,
        found.test,
        found.decided,
        found.cause,
    ) == expected
    check_complete(found, root)
    for dataset, key in (("trees", model), (DATASET, "f" * 16)):
        with pytest.raises(
            ModelError, match=f"No run of {dataset} .* has evaluated the model {key}.*history {dataset}"
        ):
            find_evaluated(key, "promotion", dataset, root)


def test_a_predecessor_is_found_without_its_decision(root: DataRoot[Path]) -> None:
    publish_champion(root.champion(DATASET), DATASET, SECOND)
    assert find_evaluated("old", "pin", DATASET, root) == replace(OLD, since=TODAY, cause="pin", decided="")


@pytest.mark.parametrize(
    ("part", "words"), [("train", "There is no model in "), ("evaluate", "Its evaluation .* is gone")]
)
def test_a_model_of_which_a_part_is_gone_cannot_become_champion(root: DataRoot[Path], part: str, words: str) -> None:
    for seed in (0, 1):
        prepare(root, seed, GOOD).run()
    champion = read_champion(root.champion(DATASET))
    assert champion is not None
    after = roll_back(champion)
    check_complete(after, root)
    shutil.rmtree(root.train(after.model) if part == "train" else root.evaluate(after.evaluation))
    with pytest.raises(ModelError, match=rf"{after.model} cannot become champion. {words}"):
        check_complete(after, root)


def test_an_order_waits_for_a_run_that_decides(root: DataRoot[Path]) -> None:
    publish_champion(root.champion(DATASET), DATASET, SECOND)
    after = roll_back(SECOND)
    with ThreadPoolExecutor(1) as pool:
        with lock_folder(root.decisions(DATASET)):
            waiting = pool.submit(publish_order, root, DATASET, SECOND, after)
            with pytest.raises(TooLateError):
                waiting.result(0.3)
            assert read_champion(root.champion(DATASET)) == SECOND
        waiting.result(60)
    assert read_champion(root.champion(DATASET)) == after


def test_an_order_on_a_champion_that_is_no_longer_champion_is_refused(root: DataRoot[Path]) -> None:
    publish_champion(root.champion(DATASET), DATASET, SECOND.succeeded_by(OTHER))
    with pytest.raises(ModelError, match="has changed meanwhile, to other"):
        publish_order(root, DATASET, SECOND, roll_back(SECOND))
    root.champion(DATASET).unlink()
    with pytest.raises(ModelError, match="has changed meanwhile, to none"):
        publish_order(root, DATASET, SECOND, roll_back(SECOND))


def test_no_run_restores_a_model_that_a_person_rolled_back_from(root: DataRoot[Path]) -> None:
    prepare(root, 0, GOOD).run()
    bad = prepare(root, 1, GOOD)
    bad.run()
    before = read_champion(root.champion(DATASET))
    assert before is not None
    publish_order(root, DATASET, before, roll_back(before))
    again = prepare(root, 1, GOOD, run="again", date=TODAY + dt.timedelta(1))
    assert not again.complete()
    again.run()
    details = again.manifest().details
    assert (details["verdict"], details["kept_by"]) == ("stays", "rollback")
    assert prepare(root, 1, GOOD, run="later", date=TODAY + dt.timedelta(2)).complete()
    another = prepare(root, 2, GOOD, date=TODAY)
    another.run()
    assert another.manifest().details["verdict"] == "new"


def test_no_run_replaces_a_pinned_champion(root: DataRoot[Path]) -> None:
    prepare(root, 0, BAD).run()
    before = read_champion(root.champion(DATASET))
    assert before is not None
    publish_order(root, DATASET, before, pin(before, before))
    task = prepare(root, 1, GOOD, date=TODAY)
    task.run()
    details = task.manifest().details
    assert (details["verdict"], details["kept_by"], details["champion"]) == ("stays", "pin", before.model)
    assert details["comparison"]["only_new"] == 20
    now = read_champion(root.champion(DATASET))
    assert now is not None
    assert prepare(root, 1, GOOD, run="later", date=TODAY).complete()
    publish_order(root, DATASET, now, unpin(now))
    again = prepare(root, 1, GOOD, run="later", date=TODAY)
    assert not again.complete()
    again.run()
    assert again.manifest().details["verdict"] == "new"


def test_a_champion_keeps_as_many_predecessors_as_are_documented() -> None:
    champion = OLD
    for number in range(PREDECESSORS + 2):
        champion = promote(champion, first_champion(f"{number}"), "promotion")
    assert len(champion.former) == PREDECESSORS

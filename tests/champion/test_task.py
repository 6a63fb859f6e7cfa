"""The champion stage as Luigi sees it: what its manifest says, and how long a decision stands."""

import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.champion.champion_file import read_champion
from tasks.champion.decision import Decision
from tasks.champion.task import ChooseChampion
from tasks.drift.result import DriftResult, PropertyTest
from tasks.evaluate.settings import EvaluateSettings
from tasks.run_context import RunContext
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import add_bottlenecks, manifest_of
from tests.support.data_root import DATASET, DAY, TEST, keep_head, predict_as
from tests.support.processes import run
from tests.train.examples import BOTTLENECK, settings

Predictions = dict[int, tuple[str, str, str]]
GOOD = dict.fromkeys(range(20), ("daisy", "daisy", "test"))
BAD = dict.fromkeys(range(20), ("daisy", "roses", "test"))
#: Decides on two models, of which the second has new photos, and names what it loaded of what it should not.
USUAL_RUN = """
import sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tests.champion import test_task

test_task.test_a_manifest_has_the_decision_and_counts_the_photos_that_were_compared(DataRoot(Path(sys.argv[1])))
print(sorted({"tensorflow", "keras", "ai_edge_litert"} & set(sys.modules)))
"""


def prepare(
    root: DataRoot,
    seed: int,
    predictions: Predictions,
    *,
    run: str = "run",
    date: dt.date = DAY,
    least: float = 0.0,
) -> ChooseChampion:
    """The decision on a head of another seed, which is trained and evaluated."""
    keep_head(root, seed)
    how = EvaluateSettings(settings(seed=seed), folds=0)
    predict_as(root, how.key("snap"), predictions)
    evaluated = replace(manifest_of("evaluate", 1, []), key=how.key("snap"), details={"test": TEST})
    evaluated.publish(root.evaluate(how.key("snap")) / "manifest.json")
    return ChooseChampion(
        context=RunContext(
            data_root=str(root.path),
            run_id=run,
            snapshot="snap",
            photos=str(root.path / "photos"),
            weights=((BOTTLENECK.backbone.weights_sha256, str(root.path / "weights")),),
        ),
        settings=how,
        dataset=DATASET,
        date=date,
        min_accuracy=least,
    )


def test_a_manifest_has_the_decision_and_counts_the_photos_that_were_compared(root: DataRoot[Path]) -> None:
    prepare(root, 0, GOOD).run()
    # Photos that the champion never saw have bottlenecks, as every photo of the run has by then.
    add_bottlenecks(BOTTLENECK.store(root), range(20, 25), 2, BOTTLENECK.backbone.width)
    task = prepare(root, 1, {**GOOD, **dict.fromkeys(range(20, 25), ("roses", "roses", "test"))})
    task.run()
    made = task.manifest()
    assert (made.photos, made.new, made.reused) == (25, 5, 20)
    decision = Decision.from_json(made.details)
    assert decision.to_json() == made.details
    now = read_champion(root.champion(DATASET))
    assert now is not None
    assert (now.decision, now.decided) == (decision, task.key())


def test_a_decision_is_made_once_for_all_dates(root: DataRoot[Path]) -> None:
    task = prepare(root, 0, GOOD)
    assert not task.complete()
    task.run()
    assert prepare(root, 0, GOOD, run="other", date=DAY + dt.timedelta(1)).complete()


@pytest.mark.parametrize(
    ("seed", "predictions", "least", "verdict"), [(0, GOOD, 0.9, "refused"), (1, BAD, 0.0, "stays")]
)
def test_a_decision_against_a_model_is_another_one_and_done_too(
    root: DataRoot[Path], seed: int, predictions: Predictions, least: float, verdict: str
) -> None:
    prepare(root, 0, GOOD).run()
    task = prepare(root, seed, predictions, least=least)
    assert not task.complete()
    task.run()
    assert task.manifest().details["verdict"] == verdict
    assert prepare(root, seed, predictions, run="other", least=least).complete()


def test_once_another_model_is_champion_a_decision_no_longer_stands_but_for_its_own_run(root: DataRoot[Path]) -> None:
    first, second = prepare(root, 0, GOOD, run="first"), prepare(root, 1, GOOD, run="second")
    first.run()
    second.run()
    assert second.complete()
    assert first.complete()
    again = prepare(root, 0, GOOD, run="third", date=DAY + dt.timedelta(1))
    assert not again.complete()
    again.run()
    made = again.manifest().details
    assert (made["verdict"], made["former"]) == ("new", second.manifest().details["model"])


def test_a_decision_stands_without_a_champion_only_where_there_was_none(root: DataRoot[Path]) -> None:
    prepare(root, 0, GOOD).run()
    root.champion(DATASET).unlink()
    assert not prepare(root, 0, GOOD, run="other").complete()
    refused = prepare(root, 1, GOOD, least=0.9)
    refused.run()
    assert prepare(root, 1, GOOD, run="other", least=0.9).complete()


def test_drift_refuses_a_model_only_where_it_is_asked_for(root: DataRoot[Path]) -> None:
    plain = prepare(root, 0, GOOD)
    strict = plain.clone(refuse_drift=True, baseline="earlier")
    assert [task.stage for task in plain.requires()] == ["evaluate"]
    assert [task.stage for task in strict.requires()] == ["evaluate", "drift"]
    assert strict.key() not in (plain.key(), strict.clone(baseline="another").key())
    assert plain.clone(baseline="earlier").key() == plain.key()
    change = PropertyTest("sharpness", "number", 0.06, 0.48, 1.7, 0.002)
    for tests, verdict in (((change,), "refused"), ((), "first")):
        found = replace(manifest_of("drift", 1, []), details=DriftResult(20, 100, tests=tests).to_json())
        found.publish(strict.drift().manifest_path())
        strict.run()
        assert strict.manifest().details["verdict"] == verdict
    plain.run()
    assert plain.manifest().details["verdict"] == "same"


def test_a_damaged_file_of_the_champion_lets_the_next_run_decide_anew(root: DataRoot[Path]) -> None:
    prepare(root, 0, GOOD).run()
    root.champion(DATASET).write_text("{")
    again = prepare(root, 0, GOOD, run="other")
    assert not again.complete()
    again.run()
    assert again.manifest().details["verdict"] == "first"
    assert again.complete()


def test_a_usual_run_loads_no_tensorflow(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", USUAL_RUN, tmp_path])
    assert done.output.splitlines()[-1:] == ["[]"], done.errors

"""Pairing: the photos that are compared, and the predictions of the champion that are recalled."""

import shutil
from pathlib import Path

import pytest

from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.paired_results import PairedResults, pair_results
from tasks.errors import StoreError
from tasks.progress import NullProgress, Progress
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import key_of
from tests.champion.cases import inputs, outdate
from tests.support.data_root import first_champion, keep_head, predict_as
from tests.support.progress import Tally

Said = dict[int, tuple[str, str, str]]
NOW: Said = {
    0: ("daisy", "daisy", "test"),
    1: ("daisy", "roses", "test"),
    2: ("roses", "roses", "test"),
    3: ("tulips", "tulips", "test"),
    4: ("daisy", "daisy", "train"),
    5: ("roses", "roses", "validation"),
}
BEFORE: Said = {
    0: ("daisy", "roses", "test"),
    1: ("daisy", "daisy", "test"),
    2: ("roses", "roses", "test"),
    3: ("tulips", "tulips", "train"),
    4: ("daisy", "daisy", "train"),
}


@pytest.fixture
def model(root: DataRoot[Path]) -> str:
    """The key of a champion; its predictions and those of the new model are published."""
    predict_as(root, "now", NOW)
    predict_as(root, "before", BEFORE)
    return keep_head(root)[0]


def pair(root: DataRoot[Path], model: str, progress: Progress | None = None) -> PairedResults:
    return pair_results("now", first_champion(model), inputs(root), progress or NullProgress())


def hits(root: DataRoot[Path], model: str) -> dict[int, tuple[bool, bool]]:
    """Return the hits of the new model and the champion by photo."""
    paired = pair(root, model)
    compared = sorted((0, 1, 2), key=key_of)
    pairs = zip(paired.new.tolist(), paired.champion.tolist(), strict=True)
    return dict(zip(compared, pairs, strict=True))


@pytest.mark.parametrize(
    ("before", "compared"),
    [
        ({}, 3),
        ({2: ("roses", "roses", "validation")}, 2),
        ({number: (label, label, "train") for number, (label, _, _) in NOW.items()}, 0),
    ],
    ids=["one trained on", "one chosen on", "all trained on"],
)
def test_test_photos_that_the_champion_learnt_from_are_left_out(
    root: DataRoot[Path], model: str, before: Said, compared: int
) -> None:
    predict_as(root, "before", {**BEFORE, **before})
    paired = pair(root, model)
    assert (len(paired.new), len(paired.champion), paired.left_out) == (compared, compared, 4 - compared)


def test_what_the_champion_said_is_recalled(root: DataRoot[Path], model: str) -> None:
    progress = Tally()
    paired = pair(root, model, progress)
    assert hits(root, model) == {0: (True, False), 1: (False, True), 2: (True, True)}
    assert (paired.predicted, progress.beginnings, progress.prepared) == (0, 0, [])


@pytest.mark.parametrize(
    ("number", "now", "before", "expected"),
    [
        (0, ("roses", "daisy", "test"), BEFORE[0], (False, True)),
        (2, ("asters", "asters", "test"), BEFORE[2], (True, False)),
        (0, ("caf\u00e9", "caf\u00e9", "test"), ("cafe\u0301", "cafe\u0301", "test"), (True, True)),
    ],
    ids=["label of today", "label that the champion does not know", "other form of Unicode"],
)
def test_a_hit_is_a_prediction_of_the_label_of_today(
    root: DataRoot[Path],
    model: str,
    number: int,
    now: tuple[str, str, str],
    before: tuple[str, str, str],
    expected: tuple[bool, bool],
) -> None:
    predict_as(root, "now", {**NOW, number: now})
    predict_as(root, "before", {**BEFORE, number: before})
    assert hits(root, model)[number] == expected


@pytest.mark.parametrize("earlier_version", [False, True])
def test_a_photo_that_the_champion_cannot_predict_is_left_out(
    root: DataRoot[Path], model: str, earlier_version: bool
) -> None:
    if earlier_version:
        outdate(root, model)
    predict_as(root, "now", {**NOW, 9: ("daisy", "daisy", "test")})
    paired = pair(root, model, progress := Tally())
    assert (len(paired.new), paired.predicted, paired.left_out) == (3, 0, 2)
    told = f"the champion {model}, so that it cannot predict 1 new test photos" in " ".join(progress.lines)
    assert told == earlier_version


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        ("", "the file of its predictions"),
        ("evaluation", "the file of its predictions"),
        ("model", "its model"),
        ("head", "its model"),
        ("manifest", "its model"),
    ],
)
def test_a_missing_or_damaged_part_of_the_champion_is_named(
    root: DataRoot[Path], model: str, damage: str, part: str
) -> None:
    folder, evaluation = root.train(model), root.evaluate("before")
    if damage in ("evaluation", "model"):
        shutil.rmtree(evaluation if damage == "evaluation" else folder)
    elif damage == "manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "head.npz" if damage else evaluation / "predictions.parquet").write_bytes(b"damaged")
    with pytest.raises(ChampionGoneError, match=part):
        pair(root, model)


def test_a_champion_of_an_earlier_version_that_was_tested_on_none_of_the_photos_is_gone(
    root: DataRoot[Path], model: str
) -> None:
    outdate(root, model)
    predict_as(root, "now", {9: ("daisy", "daisy", "test")})
    with pytest.raises(ChampionGoneError, match="its model"):
        pair(root, model)


def test_missing_predictions_of_the_new_model_are_no_fault_of_the_champion(root: DataRoot[Path], model: str) -> None:
    shutil.rmtree(root.evaluate("now"))
    with pytest.raises(StoreError, match=r"now.predictions\.parquet"):
        pair(root, model)

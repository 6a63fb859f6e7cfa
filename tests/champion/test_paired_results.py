"""Which photos are compared, and what the champion is said to hit: recalled where it was tested on a photo."""

import shutil
from pathlib import Path

import pytest

from tasks.champion.champion_predictions import ChampionGoneError
from tasks.champion.paired_results import pair_hits, read_predictions
from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import key_of
from tests.champion.models import crowned, keep_head, outdate, say, source
from tests.support.progress import Tally

NOW = {
    0: ("daisy", "daisy", "test"),
    1: ("daisy", "roses", "test"),
    2: ("roses", "roses", "test"),
    3: ("tulips", "tulips", "test"),
    4: ("daisy", "daisy", "train"),
    5: ("roses", "roses", "validation"),
}
BEFORE = {
    0: ("daisy", "roses", "test"),
    1: ("daisy", "daisy", "test"),
    2: ("roses", "roses", "test"),
    3: ("tulips", "tulips", "train"),
    4: ("daisy", "daisy", "train"),
}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    return DataRoot(tmp_path)


@pytest.fixture
def model(root: DataRoot[Path]) -> str:
    """The key of a champion, with what it said and what the new model says."""
    say(root, "now", NOW)
    say(root, "before", BEFORE)
    return keep_head(root)[0]


def hits(root: DataRoot[Path], model: str) -> dict[int, tuple[bool, bool]]:
    """What the new model and the champion hit, by photo."""
    paired = pair_hits("now", crowned(model), source(root), NullProgress())
    compared = sorted((number for number in (0, 1, 2)), key=key_of)
    pairs = zip(paired.new.tolist(), paired.champion.tolist(), strict=True)
    return dict(zip(compared, pairs, strict=True))


def test_only_test_photos_that_the_champion_did_not_learn_from_are_compared(root: DataRoot[Path], model: str) -> None:
    paired = pair_hits("now", crowned(model), source(root), NullProgress())
    assert (len(paired.new), len(paired.champion), paired.left_out) == (3, 3, 1)


def test_a_photo_on_which_the_champion_was_chosen_is_left_out(root: DataRoot[Path], model: str) -> None:
    say(root, "before", {**BEFORE, 2: ("roses", "roses", "validation")})
    assert pair_hits("now", crowned(model), source(root), NullProgress()).left_out == 2


def test_what_the_champion_said_is_recalled(root: DataRoot[Path], model: str) -> None:
    progress = Tally()
    paired = pair_hits("now", crowned(model), source(root), progress)
    assert hits(root, model) == {0: (True, False), 1: (False, True), 2: (True, True)}
    assert (paired.asked, progress.beginnings, progress.prepared) == (0, 0, [])


def test_the_label_of_today_decides_what_is_right(root: DataRoot[Path], model: str) -> None:
    say(root, "now", {**NOW, 0: ("roses", "daisy", "test")})
    assert hits(root, model)[0] == (False, True)


def test_a_photo_of_a_label_that_the_champion_does_not_know_is_a_miss(root: DataRoot[Path], model: str) -> None:
    say(root, "now", {**NOW, 2: ("asters", "asters", "test")})
    assert hits(root, model)[2] == (True, False)


def test_a_photo_that_the_champion_has_no_picture_of_is_left_out(root: DataRoot[Path], model: str) -> None:
    say(root, "now", {**NOW, 9: ("daisy", "daisy", "test")})
    paired = pair_hits("now", crowned(model), source(root), NullProgress())
    assert (len(paired.new), paired.asked, paired.left_out) == (3, 0, 2)


def test_where_the_champion_learnt_from_every_photo_nothing_is_left(root: DataRoot[Path], model: str) -> None:
    say(root, "before", {number: (label, label, "train") for number, (label, _, _) in NOW.items()})
    paired = pair_hits("now", crowned(model), source(root), NullProgress())
    assert (len(paired.new), len(paired.champion), paired.left_out) == (0, 0, 4)


@pytest.mark.parametrize("damage", ["", "gone", "head", "unended"])
def test_a_champion_whose_model_is_gone_or_damaged_is_told_from_one_whose_predictions_are(
    root: DataRoot[Path], model: str, damage: str
) -> None:
    folder, predictions = root.train(model), root.evaluate("before") / "predictions.parquet"
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "head":
        (folder / "head.npz").write_bytes(b"damaged")
    elif damage == "unended":
        (folder / "manifest.json").unlink()
    else:
        predictions.write_bytes(b"damaged")
    what = "its model" if damage else "what it said of its photos"
    with pytest.raises(ChampionGoneError, match=what):
        pair_hits("now", crowned(model), source(root), NullProgress())


def test_a_champion_of_an_earlier_version_is_compared_on_what_it_said(root: DataRoot[Path], model: str) -> None:
    outdate(root, model)
    say(root, "now", {**NOW, 9: ("daisy", "daisy", "test")})
    progress = Tally()
    paired = pair_hits("now", crowned(model), source(root), progress)
    assert (len(paired.new), paired.asked, paired.left_out) == (3, 0, 2)
    assert f"the champion {model}: it cannot be asked of 1 new test photos" in " ".join(progress.lines)


def test_a_champion_of_an_earlier_version_that_was_tested_on_none_of_the_photos_is_gone(
    root: DataRoot[Path], model: str
) -> None:
    outdate(root, model)
    say(root, "now", {9: ("daisy", "daisy", "test")})
    with pytest.raises(ChampionGoneError, match="its model"):
        pair_hits("now", crowned(model), source(root), NullProgress())


def test_a_champion_without_predictions_cannot_be_compared(root: DataRoot[Path], model: str) -> None:
    shutil.rmtree(root.evaluate("before"))
    with pytest.raises(ChampionGoneError, match="what it said of its photos"):
        pair_hits("now", crowned(model), source(root), NullProgress())


def test_missing_predictions_of_the_new_model_are_no_fault_of_the_champion(root: DataRoot[Path], model: str) -> None:
    shutil.rmtree(root.evaluate("now"))
    with pytest.raises(StoreError, match=r"now.predictions\.parquet"):
        pair_hits("now", crowned(model), source(root), NullProgress())


@pytest.mark.usefixtures("model")
def test_predictions_are_read_in_the_order_of_their_keys(root: DataRoot[Path]) -> None:
    keys = read_predictions(root.evaluate("now"))["sha256"].to_pylist()
    assert keys == sorted(map(key_of, NOW))


def test_a_champion_that_says_a_label_in_another_form_of_unicode_hits_it(root: DataRoot[Path], model: str) -> None:
    say(root, "now", {**NOW, 0: ("caf\u00e9", "caf\u00e9", "test")})
    say(root, "before", {**BEFORE, 0: ("cafe\u0301", "cafe\u0301", "test")})
    assert hits(root, model)[0] == (True, True)

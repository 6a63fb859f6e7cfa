"""Parity: how it is measured, and when an export is refused."""

from typing import Any

import numpy as np
import pytest

from tasks.export.parity import allowed_disagreements, compare, find_refusal
from tasks.export.photos import ReferencePhotos
from tests.bottleneck.pictures import key_of

LABELS = ("blue", "red")


def known(probabilities_of_red: Any) -> ReferencePhotos:
    """Photos of which every other one is red, with these predictions of the pipeline."""
    red = np.asarray(probabilities_of_red, np.float32)
    count = len(red)
    keys = [key_of(number) for number in range(count)]
    paths = [f"{number}.png" for number in range(count)]
    return ReferencePhotos(keys, paths, np.arange(count) % 2, np.stack([1 - red, red], axis=1), LABELS)


def sure(count: int) -> ReferencePhotos:
    """Photos that the pipeline is sure and right about."""
    return known([0.1, 0.9] * (count // 2))


def figures(photos: int, disagreements: int, **more: Any) -> dict[str, Any]:
    agreement = 1 - disagreements / photos
    counts = {"disagreements": disagreements, "ties": 0, "lost": 0, "won": 0}
    return {"photos": photos, "agreement": agreement, **counts, "difference": 0.0, **more}


def test_agreement_accuracy_and_largest_difference_are_measured() -> None:
    photos = sure(10)
    said = photos.probabilities.copy()
    said[0] = said[0, ::-1]
    said[1] += [0.05, -0.05]
    compared = compare(photos, said)
    assert (compared["photos"], compared["agreement"], compared["accuracy"]) == (10, 0.9, 0.9)
    assert (compared["disagreements"], compared["ties"], compared["lost"], compared["won"]) == (1, 0, 1, 0)
    assert compared["largest_difference"] == pytest.approx(0.8)
    assert compared["metrics"]["confusion"] == [[4, 1], [0, 5]]
    none = compare(photos.take([]), np.empty((0, 2), np.float32))
    assert (none["photos"], none["agreement"]) == (0, None)
    assert find_refusal({"saved_model": none}, "float32") is None


def test_difference_is_three_times_the_median_change_in_log_odds() -> None:
    odds = np.linspace(-4, 4, 101)
    change = np.abs(np.random.default_rng(0).normal(0, 0.2, 101)) * -np.sign(odds)
    compared = compare(known(1 / (1 + np.exp(-odds))), known(1 / (1 + np.exp(-odds - change))).probabilities)
    assert compared["difference"] == pytest.approx(3 * np.median(np.abs(change)), rel=1e-3)


@pytest.mark.parametrize(("preferred", "ties"), [(0.51, 10), (0.6, 0)])
def test_label_that_the_pipeline_hardly_prefers_is_a_tie(preferred: float, ties: int) -> None:
    """Ten photos flip; all others change as much, too little to be called something else."""
    red = np.array([preferred] * 10 + [0.9] * 30)
    odds = np.log(red / (1 - red)) - np.log(preferred / (1 - preferred)) - 0.01
    compared = compare(known(red), known(1 / (1 + np.exp(-odds))).probabilities)
    assert compared["agreement"] == 0.75
    assert (compared["disagreements"], compared["ties"]) == (10 - ties, ties)


@pytest.mark.parametrize(("photos", "bar", "most"), [(1, 0.99, 1), (40, 0.99, 2), (218, 0.99, 5), (5000, 0.99, 62)])
def test_disagreements_are_put_down_to_chance_as_often_as_one_test_split_in_twenty(
    photos: int, bar: float, most: int
) -> None:
    assert allowed_disagreements(photos, bar) == most
    drawn = np.random.default_rng(0).binomial(photos, 1 - bar, 100_000)
    assert (drawn > most).mean() < 0.05


def test_export_at_the_edge_passes_and_one_disagreement_more_is_refused() -> None:
    edge = {"saved_model": figures(218, 5), "model-int8.tflite": figures(218, 11)}
    assert find_refusal(edge, "float32") is None
    beyond = find_refusal({"saved_model": figures(218, 6, ties=3)}, "float32")
    assert beyond is not None
    assert beyond.startswith(
        "The export saved_model predicts another label than the model on 6 of 218 test photos, not counting 3 ties: "
        "the bar is 99%, and chance explains at most 5. Nothing was exported. "
    )


@pytest.mark.parametrize(
    ("form", "precision", "remedy"),
    [
        ("model.tflite", "int8", "trained in int8: give --precision float32"),
        ("model.tflite", "float32", "a fault of the export: report it"),
        ("saved_model", "float32", "Convert photos with colour profiles to sRGB"),
        ("model-int8.tflite", "float32", "Give --precision int8"),
    ],
)
def test_refusal_says_what_to_do(form: str, precision: str, remedy: str) -> None:
    assert remedy in str(find_refusal({form: figures(100, 50)}, precision))


@pytest.mark.parametrize(
    ("own", "in_its_precision", "refused"),
    [
        (figures(178, 21, lost=10, won=19), figures(178, 0), False),
        (figures(178, 21, lost=10, won=11), figures(178, 20), True),
        (figures(178, 30, lost=26, won=4), figures(178, 0), True),
    ],
    ids=["differs as the pipeline in its precision", "differs from it there too", "is less accurate"],
)
def test_export_in_another_precision_may_differ_as_the_pipeline_does_in_that_precision(
    own: dict[str, Any], in_its_precision: dict[str, Any], refused: bool
) -> None:
    refusal = find_refusal({"saved_model": {**own, "in_its_precision": in_its_precision}}, "int8")
    assert (refusal is not None) == refused


def test_other_probabilities_for_the_same_labels_are_refused_where_only_the_program_differs() -> None:
    compared = {"model.tflite": figures(100, 0, difference=0.49)}
    assert "differ by 0.49 in log-odds" in str(find_refusal(compared, "float32"))
    other = {"model.tflite": figures(100, 0, difference=0.49, in_its_precision=figures(32, 0))}
    assert find_refusal(other, "int8") is None

"""The head: its arithmetic against naive rewritings, and its files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special

from tasks.errors import StoreError
from tasks.train.head import INPUTS, Head, load_head, save_head, softmax
from tasks.train.novelty import Background, measure_novelty

Floats = npt.NDArray[np.float32]


def values(photos: int = 12, views: int = 2, width: int = 5, seed: int = 1) -> Floats:
    """As averaged activations are: not negative, with a long tail; float32 [N, V, D]."""
    return np.random.default_rng(seed).exponential(2, (photos, views, width)).astype(np.float32)


@pytest.fixture
def head() -> Head:
    random = np.random.default_rng(2)
    weights, biases = random.normal(size=(5, 3)), random.normal(size=3)
    labels = ("Gänseblümchen", "roses", "two words")
    facts = {"choices": [{"shrinkage": 0.1}], "settings": {"seed": 0}}
    return Head(labels, weights.astype(np.float32), biases.astype(np.float32), rooted=True, facts=facts)


@pytest.fixture
def saved(head: Head, tmp_path: Path) -> Path:
    save_head(head, tmp_path)
    return tmp_path


def change_arrays(folder: Path, changed: Mapping[str, npt.NDArray[Any] | None]) -> None:
    """Replace arrays of a head's file, or drop those that are None."""
    with np.load(folder / "head.npz") as arrays:
        merged = {**arrays, **changed}
    kept = {name: array for name, array in merged.items() if array is not None}
    np.savez(folder / "head.npz", allow_pickle=True, **kept)


def test_softmax_is_scipy_s_and_does_not_overflow() -> None:
    scores = np.random.default_rng(0).normal(0, 5, (4, 2, 7)).astype(np.float32)
    scores[0, 0, :3] = 1e30, 1e30, -1e30
    np.testing.assert_allclose(softmax(scores), scipy.special.softmax(scores, axis=-1), rtol=1e-5)


def test_probabilities_are_the_mean_of_the_views_softmaxes(head: Head) -> None:
    photos = values(photos=3)
    got = head.probabilities(photos)
    assert got.dtype == np.float32
    for photo, row in zip(photos, got, strict=True):
        each = [scipy.special.softmax(view @ head.weights + head.biases) for view in photo]
        np.testing.assert_allclose(row, np.mean(each, axis=0), rtol=1e-5)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-6)


def test_a_label_of_bias_minus_infinity_is_never_predicted(head: Head) -> None:
    never = replace(head, biases=np.array([0, -np.inf, 0], np.float32))
    got = never.probabilities(values())
    assert not got[:, 1].any()
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-6)


def with_background(head: Head) -> Head:
    random = np.random.default_rng(3)
    weights, biases = (random.normal(size=shape).astype(np.float32) for shape in ((3, 3), (3,)))
    return replace(head, background=Background(weights, biases), facts={**head.facts, "novelty": {"threshold": 1.5}})


def test_head_is_read_with_its_background_and_its_threshold(head: Head, tmp_path: Path) -> None:
    written = with_background(head)
    save_head(written, tmp_path)
    read = load_head(tmp_path)
    assert read.threshold == 1.5
    for one, other in zip(read.predict(values()), written.predict(values()), strict=True):
        np.testing.assert_array_equal(one, other)
    energy = measure_novelty(head.scores(values()), None)
    assert not np.allclose(measure_novelty(read.scores(values()), read.background), energy)


def test_head_of_an_earlier_version_has_no_threshold(saved: Path) -> None:
    read = load_head(saved)
    assert (read.background, read.threshold) == (None, None)


@pytest.mark.parametrize(
    "changed",
    [{"novelty_biases": None}, {"novelty_weights": np.ones((3, 2), np.float32)}, {"novelty_biases": np.ones(2)}],
)
def test_background_that_does_not_fit_the_labels_is_an_error(
    head: Head, tmp_path: Path, changed: Mapping[str, Floats | None]
) -> None:
    save_head(with_background(head), tmp_path)
    change_arrays(tmp_path, changed)
    with pytest.raises(StoreError, match="damaged"):
        load_head(tmp_path)


@pytest.mark.parametrize("rooted", [True, False])
def test_head_is_read_as_it_was_written(head: Head, tmp_path: Path, rooted: bool) -> None:
    written = replace(head, rooted=rooted)
    save_head(written, tmp_path)
    read = load_head(tmp_path)
    assert (read.labels, read.rooted, read.facts) == (written.labels, rooted, written.facts)
    np.testing.assert_array_equal(read.probabilities(values()), written.probabilities(values()))


def test_files_are_plain_json_that_keeps_unicode_and_arrays_without_pickle(head: Head, saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == ["head.json", "head.npz"]
    text = (saved / "head.json").read_text(encoding="utf-8")
    assert "Gänseblümchen" in text
    assert json.loads(text) == {"labels": list(head.labels), "takes": INPUTS[True], **head.facts}
    with np.load(saved / "head.npz", allow_pickle=False) as arrays:
        assert {name: (arrays[name].dtype.name, arrays[name].shape) for name in arrays} == {
            "weights": ("float32", (5, 3)),
            "biases": ("float32", (3,)),
        }
        np.testing.assert_array_equal(arrays["weights"], head.weights)


def test_head_that_was_never_saved_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_head(tmp_path)


@pytest.mark.parametrize("file", ["head.json", "head.npz"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_file_cut_short_is_an_error(saved: Path, file: str, share: float) -> None:
    data = (saved / file).read_bytes()
    (saved / file).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StoreError, match="damaged"):
        load_head(saved)


def test_any_changed_byte_of_the_arrays_gives_an_error_or_the_head(head: Head, saved: Path) -> None:
    data = (saved / "head.npz").read_bytes()
    refused = 0
    for place in range(len(data)):
        (saved / "head.npz").write_bytes(data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :])
        try:
            read = load_head(saved)
        except StoreError:
            refused += 1
        else:
            np.testing.assert_array_equal(read.weights, head.weights)
    assert refused > len(data) / 2


@pytest.mark.parametrize(
    "text",
    [
        *("{}", "[]", "3", '{"labels": ["a", "b", "c"]}', '{"takes": "x", "labels": 3}'),
        *('{"takes": "x", "labels": ["only", "two"]}', '{"takes": "log(x)", "labels": ["a", "b", "c"]}'),
    ],
)
def test_json_that_does_not_fit_the_arrays_is_an_error(saved: Path, text: str) -> None:
    (saved / "head.json").write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        load_head(saved)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": None}, "weights"),
        ({"biases": None}, "biases"),
        ({"weights": np.ones(3, np.float32)}, "damaged"),
        ({"weights": np.ones((5, 4), np.float32)}, "damaged"),
        ({"biases": np.ones(4, np.float32)}, "damaged"),
    ],
)
def test_missing_arrays_and_those_that_do_not_fit_each_other_are_an_error(
    saved: Path, changed: Mapping[str, Floats | None], message: str
) -> None:
    change_arrays(saved, changed)
    with pytest.raises(StoreError, match=message):
        load_head(saved)


def test_pickled_array_is_refused_and_never_run(saved: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-here"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    change_arrays(saved, {"biases": np.array([Payload()] * 3, dtype=object)})
    with pytest.raises(StoreError, match="damaged"):
        load_head(saved)
    assert not marker.exists()
    with np.load(saved / "head.npz", allow_pickle=True) as arrays:
        assert arrays["biases"].shape == (3,)
    assert marker.exists(), "a trusting reader would have run it"

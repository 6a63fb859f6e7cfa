"""Bottlenecks on an object store that are too many for memory: the training and its result are those in memory."""

from pathlib import Path

import pytest

from tasks.artifacts import DataRoot
from tasks.evaluate.metrics import wilson_interval
from tasks.paths import AnyPath, is_remote
from tasks.train.examples import Examples, mark
from tasks.train.head import load_head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import TrainSettings
from tasks.train.training import examples_of
from tasks.train.vectors import ScratchVectors
from tests.train.data_root import fill, photos, train
from tests.train.examples import classic, draw_examples, settings


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Enough for several blocks to be shuffled, and no label that is easy to tell."""
    return draw_examples((500, 400, 300), width=6, apart=1.0)


@pytest.mark.parametrize("how", [settings(), classic()], ids=["adam", "classic"])
def test_a_head_that_is_trained_from_a_store_and_scratch_is_as_good_as_one_from_memory(
    how: TrainSettings, examples: Examples, far_root: AnyPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = DataRoot(tmp_path), DataRoot(far_root)
    fill(near, examples)
    fill(far, examples)
    in_memory = accuracy(photos(near), train(near, how), how)

    monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    monkeypatch.setattr("tasks.train.feed.BLOCK", 32)
    monkeypatch.setattr("tasks.train.feed.POOL", 256)
    outgrown = photos(far)
    assert isinstance(outgrown.vectors, ScratchVectors)
    folder = train(far, how)
    assert is_remote(folder)
    found = accuracy(outgrown, folder, how)

    tested = int(outgrown.of("test").sum())
    interval = wilson_interval(round(in_memory * tested), tested)
    # Three labels by chance: a third.
    assert 0.5 < interval.low <= found <= interval.high


def accuracy(of: EmbeddedPhotos, head: AnyPath, how: TrainSettings) -> float:
    """The share of the test photos that a head in a folder gets right."""
    tested = examples_of(of, "test", how.predicting_views)
    return mark(load_head(head).probabilities(tested.vectors), tested.labels).accuracy

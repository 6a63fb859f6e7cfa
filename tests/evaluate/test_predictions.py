"""The table of predictions: a row a photo, in the public schema."""

import numpy as np
import pytest

from tasks.evaluate.predictions import tabulate_predictions
from tasks.shards.schemas import PREDICTIONS
from tasks.train.photos import LabelledPhotos
from tests.evaluate.drawing import draw_probabilities
from tests.train.examples import draw_examples, photos_of

LABELS = ("Gänseblümchen", "roses", "two words")


@pytest.fixture
def photos() -> LabelledPhotos:
    return photos_of(draw_examples((10, 20, 15)), LABELS)


def test_table_has_the_public_schema(photos: LabelledPhotos) -> None:
    assert tabulate_predictions(photos, draw_probabilities(45, 3)).schema.equals(PREDICTIONS)


def test_each_row_says_what_the_head_says_of_that_photo(photos: LabelledPhotos) -> None:
    probabilities = draw_probabilities(45, 3)
    rows = tabulate_predictions(photos, probabilities).to_pylist()
    assert [row["sha256"] for row in rows] == photos.sha256 == sorted(photos.sha256)
    for place, row in enumerate(rows):
        assert row["probabilities"] == probabilities[place].tolist()
        assert row["predicted"] == LABELS[max(range(3), key=row["probabilities"].__getitem__)]
        assert row["label"] == LABELS[photos.truth[place]] == row["path"].split("/")[0]
        assert row["path"] == photos.paths[place]
        assert row["split"] == photos.splits.names[place]


def test_probabilities_of_a_photo_sum_to_one(photos: LabelledPhotos) -> None:
    rows = tabulate_predictions(photos, draw_probabilities(45, 3)).to_pylist()
    np.testing.assert_allclose([sum(row["probabilities"]) for row in rows], 1, rtol=1e-6)


def test_every_split_is_in_the_table(photos: LabelledPhotos) -> None:
    table = tabulate_predictions(photos, draw_probabilities(45, 3))
    assert set(table["split"].to_pylist()) == {"train", "validation", "test"}


def test_a_table_of_more_probabilities_than_one_array_holds_is_the_same(
    photos: LabelledPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1,000 labels that is so from 2,147,484 photos on."""
    probabilities = draw_probabilities(45, 3)
    whole = tabulate_predictions(photos, probabilities)
    monkeypatch.setattr("tasks.evaluate.predictions._NUMBERS", 31)
    pieces = tabulate_predictions(photos, probabilities)
    assert pieces.column("probabilities").num_chunks == 5
    assert pieces.equals(whole)

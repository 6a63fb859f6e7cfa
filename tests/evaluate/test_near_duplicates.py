"""Near duplicates: copies and mirrored copies are grouped, photos that are merely alike are not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.bottleneck.quantisation import Numbers
from tasks.evaluate.near_duplicates import (
    FILE,
    SIMILAR,
    NearDuplicates,
    find_near_duplicates,
    measure_near_duplicates,
    publish_near_duplicates,
    read_near_duplicates,
)
from tasks.evaluate.predictions import PredictedPhotos
from tasks.progress import NullProgress
from tasks.snapshot.splits import SPLITS
from tasks.storage.errors import DamagedError
from tasks.train.photos import EmbeddedPhotos
from tests.bottleneck.pictures import key_of
from tests.support.data_root import LABELS, draw_photos, draw_probabilities
from tests.train.examples import BACKBONE, BOTTLENECK, Drawn, photos_of, settings

COUNT = 300
WIDTHS = (20, 180)


def draw_alike(count: int = COUNT, seed: int = 0) -> Numbers:
    """Draw numbers of photos, uint8 [N, 2, D], which are more alike the nearer their numbers are modulo 5."""
    random = np.random.default_rng(seed)
    kinds = random.normal(120, 30, (5, 1, sum(WIDTHS)))[np.arange(count) % 5]
    return to_numbers(kinds + random.normal(0, 12, (count, 2, sum(WIDTHS))))


def to_numbers(values: npt.NDArray[np.float64]) -> Numbers:
    numbers: Numbers = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return numbers


def copies_of(numbers: Numbers, seed: int = 1) -> Numbers:
    return to_numbers(numbers + np.random.default_rng(seed).normal(0, 4, numbers.shape))


def embed(numbers: Numbers, labels: Sequence[int] | None = None, widths: tuple[int, ...] = WIDTHS) -> EmbeddedPhotos:
    """Photos of numbers; photo n has the key of n."""
    layers = ("bottleneck", "early")[: len(widths)]
    backbone = replace(BACKBONE, layers=layers, widths=widths)
    how = replace(settings(), bottlenecks=(replace(BOTTLENECK, backbone=backbone),))
    truth = np.arange(len(numbers)) % 3 if labels is None else np.array(labels)
    return photos_of(Drawn(numbers, truth), LABELS, how)


def groups_of(photos: EmbeddedPhotos, found: NearDuplicates) -> list[set[int]]:
    """The numbers of the photos of each group, in the order of the groups."""
    number = {key_of(at): at for at in range(len(photos.sha256))}
    groups: list[set[int]] = [set() for _ in range(found.groups)]
    for key, group in zip(photos.sha256, found.group.tolist(), strict=True):
        if group >= 0:
            groups[group].add(number[key])
    return groups


def test_a_copy_and_a_mirrored_copy_are_grouped_with_their_photo_and_no_other_photo_is() -> None:
    numbers = draw_alike()
    # A mirrored photo has the views of the photo in the other order.
    photos = embed(np.concatenate([numbers, copies_of(numbers[:1]), copies_of(numbers[1:2])[:, ::-1]]))
    found = find_near_duplicates(photos, NullProgress())
    assert sorted(map(sorted, groups_of(photos, found))) == [[0, COUNT], [1, COUNT + 1]]
    grouped = found.group >= 0
    assert (found.similarity[grouped] >= SIMILAR).all()
    assert (found.similarity[~grouped] == 0).all()


def test_copies_of_copies_are_one_group_and_a_group_of_different_labels_comes_first() -> None:
    numbers = draw_alike()
    near = copies_of(numbers[:1], seed=2)
    blurred = [to_numbers(numbers[1:2] + np.random.default_rng(seed).normal(0, 8, (1, 2, 200))) for seed in (3, 4)]
    labels = [*(np.arange(COUNT) % 3), 0, 1, 2]
    photos = embed(np.concatenate([numbers, near, *blurred]), labels)
    found = find_near_duplicates(photos, NullProgress())
    assert groups_of(photos, found) == [{1, COUNT + 1, COUNT + 2}, {0, COUNT}]
    most = [found.similarity[found.group == group].max() for group in (0, 1)]
    assert most[0] < most[1], "the labels count more than the similarity"


def test_a_backbone_with_one_layer_tells_by_that() -> None:
    numbers = draw_alike()
    photos = embed(np.concatenate([numbers, copies_of(numbers[:1])]), widths=(sum(WIDTHS),))
    assert groups_of(photos, find_near_duplicates(photos, NullProgress())) == [{0, COUNT}]


def test_many_photos_are_compared_within_cells_with_the_same_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = draw_alike(900)
    photos = embed(np.concatenate([numbers, copies_of(numbers[:60])]))
    whole = find_near_duplicates(photos, NullProgress())
    monkeypatch.setattr("tasks.evaluate.near_duplicates._MOST_COMPARED", 600)
    monkeypatch.setattr("tasks.evaluate.near_duplicates._PHOTOS_PER_CELL", 60)
    monkeypatch.setattr("tasks.evaluate.near_duplicates._ROWS", 50)
    found = find_near_duplicates(photos, NullProgress())
    assert whole.groups == 60
    assert sorted(map(sorted, groups_of(photos, found))) == sorted(map(sorted, groups_of(photos, whole)))


def test_bottlenecks_that_are_read_block_by_block_give_the_same_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = draw_alike()
    photos = embed(np.concatenate([numbers, copies_of(numbers[:20])]))
    whole = find_near_duplicates(photos, NullProgress())
    monkeypatch.setattr("tasks.train.features.BLOCK_PHOTOS", 7)
    blocks = find_near_duplicates(photos, NullProgress())
    np.testing.assert_array_equal(blocks.group, whole.group)
    np.testing.assert_array_equal(blocks.similarity, whole.similarity)


@pytest.mark.parametrize("count", [9, 30, 200])
def test_photos_that_are_all_the_same_and_photos_that_are_too_few_give_no_groups(count: int) -> None:
    for numbers in (draw_alike(count), np.repeat(draw_alike(1), count, axis=0)):
        found = find_near_duplicates(embed(numbers), NullProgress())
        assert (found.groups, set(found.group.tolist())) == (0, {-1})


def test_test_photos_with_a_near_duplicate_in_training_are_counted_and_left_out_of_the_accuracy() -> None:
    photos = draw_photos()
    predicted = PredictedPhotos(photos, draw_probabilities(len(photos.sha256), 3))
    places = {split: np.flatnonzero(photos.of(split)) for split in SPLITS}
    group = np.full(len(photos.sha256), -1)
    # Of two groups in the test split alone, none is left out.
    group[places["test"][:2]] = 0
    group[[places["test"][2], places["train"][0]]] = 1
    group[[*places["test"][3:5], places["validation"][0]]] = 2
    group[places["train"][1:4]] = 3
    metrics = measure_near_duplicates(predicted, NearDuplicates(group, np.zeros(len(group), np.float32)))
    labels = [len({photos.truth[place] for place in np.flatnonzero(group == own)}) for own in range(4)]
    assert metrics["near_duplicates"] == {
        "groups": 4,
        "photos": 10,
        "with_different_labels": sum(each > 1 for each in labels),
    }
    kept = [*places["test"][:2], *places["test"][5:]]
    without = metrics["test_without_near_duplicates"]
    assert (without["left_out"], without["photos"]) == (3, len(kept))
    assert without["accuracy"] == np.mean([predicted.predicted[place] == photos.truth[place] for place in kept])
    assert without["interval"]["low"] < without["accuracy"] < without["interval"]["high"]


def test_photos_of_groups_with_different_labels_are_disputed() -> None:
    found = NearDuplicates(np.array([0, 1, -1, 0, 1, -1, 0]), np.zeros(7, np.float32))
    assert np.flatnonzero(found.disputed(np.array([0, 2, 1, 1, 2, 0, 0]))).tolist() == [0, 3, 6]


def test_without_test_photos_to_leave_out_or_to_keep_there_is_no_other_accuracy() -> None:
    photos = draw_photos()
    predicted = PredictedPhotos(photos, draw_probabilities(len(photos.sha256), 3))
    none = np.full(len(photos.sha256), -1)
    alike = np.zeros(len(none), np.float32)
    metrics = measure_near_duplicates(predicted, NearDuplicates(none, alike))
    assert metrics["test_without_near_duplicates"] is None
    assert metrics["near_duplicates"] == {"groups": 0, "photos": 0, "with_different_labels": 0}
    without = measure_near_duplicates(predicted, NearDuplicates(none + 1, alike))["test_without_near_duplicates"]
    left_out = int(photos.of("test").sum())
    assert without == {"left_out": left_out, "photos": 0, "accuracy": None, "interval": None}


def test_the_file_has_the_photos_of_each_group_the_more_similar_first(tmp_path: Path) -> None:
    photos, similarity = draw_photos(), np.zeros(210, np.float32)
    group = np.full(210, -1)
    group[[3, 5, 8]], similarity[[3, 5, 8]] = 1, (0.5, 0.75, 0.75)
    group[[100, 7]], similarity[[100, 7]] = 0, 0.625
    publish_near_duplicates(tmp_path, photos, NearDuplicates(group, similarity), {"snapshot": "snap"})
    rows = read_near_duplicates(tmp_path, 2).to_pylist()
    assert [(row["group"], photos.sha256.index(row["sha256"]), row["similarity"]) for row in rows] == [
        (0, 7, 0.625),
        (0, 100, 0.625),
        (1, 5, 0.75),
        (1, 8, 0.75),
        (1, 3, 0.5),
    ]
    for row in rows:
        place = photos.sha256.index(row["sha256"])
        assert (row["path"], row["split"]) == (photos.paths[place], photos.splits.names[place])
        assert row["label"] == LABELS[photos.truth[place]]
    assert Counter(row["group"] for row in read_near_duplicates(tmp_path, 1).to_pylist()) == {0: 2}


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, damage: str) -> None:
    photos = draw_photos()
    found = NearDuplicates(np.zeros(210, np.int64), np.ones(210, np.float32))
    publish_near_duplicates(tmp_path, photos, found, {})
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    if damage == "missing":
        (tmp_path / FILE).unlink()
    with pytest.raises(DamagedError, match=rf"{FILE} cannot be read .*Delete its folder and run again"):
        read_near_duplicates(tmp_path, 1)

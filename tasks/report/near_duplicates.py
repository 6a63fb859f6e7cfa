"""Near duplicates section: the groups that the report shows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from tasks.evaluate.near_duplicates import FILE, read_near_duplicates
from tasks.paths import AnyPath
from tasks.report.gallery import Gallery, ShownPhoto

#: Groups that are shown at most, and photos of each.
MAX_GROUPS, MAX_PHOTOS = 16, 4


class NearDuplicate(NamedTuple):
    """A photo of a group."""

    photo: ShownPhoto
    split: str  #: Name of its split.
    similarity: float  #: Cosine with the most similar photo of the group.


class DuplicateGroup(NamedTuple):
    """A group of near duplicates."""

    shown: Sequence[NearDuplicate]  #: Some photos: one of each label first, then the most similar ones.
    photos: int  #: Number of all photos.
    labels: int  #: Number of different labels.


@dataclass(frozen=True)
class SelectedDuplicates:
    """The first groups of near duplicates of an evaluation, before their pictures are read."""

    metrics: Mapping[str, Any]  #: Metrics of the evaluation.
    file: AnyPath  #: File of all groups.
    groups: Sequence[Sequence[Mapping[str, Any]]]  #: Rows of `NEAR_DUPLICATES` by group; one of each label first.

    @property
    def keys(self) -> list[str]:
        """Keys of the photos that are shown."""
        return [row["sha256"] for rows in self.groups for row in rows[:MAX_PHOTOS]]

    def show(self, gallery: Gallery) -> "ShownDuplicates":
        """Return the groups with the pictures of a gallery."""
        shown = []
        for rows in self.groups:
            first = rows[:MAX_PHOTOS]
            photos = gallery.show(gallery.predicted.photos.places(row["sha256"] for row in first))
            near = [
                NearDuplicate(photo, row["split"], row["similarity"]) for photo, row in zip(photos, first, strict=True)
            ]
            shown.append(DuplicateGroup(near, len(rows), len({row["label"] for row in rows})))
        counts, without = self.metrics["near_duplicates"], self.metrics["test_without_near_duplicates"]
        return ShownDuplicates(shown, counts, without, self.file)


@dataclass(frozen=True)
class ShownDuplicates:
    """Near duplicates of an evaluation as the report shows them."""

    shown: Sequence[DuplicateGroup]  #: The first groups.
    counts: Mapping[str, int]  #: Numbers of groups, of their photos, and of groups with different labels.
    without: Mapping[str, Any] | None  #: Accuracy without test photos that have a near duplicate in training.
    file: AnyPath  #: File of all groups.


def select_near_duplicates(metrics: Mapping[str, Any], evaluation: AnyPath) -> SelectedDuplicates | None:
    """Select the first groups of an evaluation; None for a fine-tuned network, whose photos have no bottlenecks.

    Raises:
        DamagedError: The file of the groups is damaged or missing.
    """
    if "near_duplicates" not in metrics:
        return None
    rows = read_near_duplicates(evaluation, MAX_GROUPS).to_pylist()
    groups = [_one_of_each_label_first(list(own)) for _, own in groupby(rows, key=lambda row: row["group"])]
    return SelectedDuplicates(metrics, evaluation / FILE, groups)


def _one_of_each_label_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order the rows of a group by turns of their labels."""
    turns: dict[str, int] = defaultdict(int)
    turn_of = []
    for row in rows:
        turn_of.append(turns[row["label"]])
        turns[row["label"]] += 1
    return [row for _, row in sorted(zip(turn_of, rows, strict=True), key=lambda pair: pair[0])]

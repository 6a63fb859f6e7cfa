"""Splits and folds of photos, from the hashes of their bytes.

Splits and folds are unions of ten tenths, so that statistics of each tenth, added up, serve all of them. The tenth of a
photo depends on its bytes alone: it stays the same when other photos are added, and when the photo moves. The
exception is small labels, whose photos may have to fill in for a split that has none.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import SettingError
from tasks.snapshot.labels import check_labels

SPLITS = ("train", "validation", "test")

TENTHS = 10
#: The tenths of each split.
SPLIT_TENTHS = {"train": tuple(range(8)), "validation": (8,), "test": (9,)}

_POSITIONS = 2**64
_ENDS = [_POSITIONS * tenth // TENTHS for tenth in range(1, TENTHS + 1)]
_RANGES = (range(_ENDS[7]), range(_ENDS[7], _ENDS[8]), range(_ENDS[8], _POSITIONS))
# The outer ranges choose first: if all photos of a label are on one side, each split then gets the nearest ones.
_FILL_ORDER = (2, 0, 1)


@dataclass(frozen=True)
class Fill:
    """A photo that fills in for a split without photos of its label."""

    label: str
    split: str  #: The filled split, one of `SPLITS`.
    sha256: str  #: Key of the photo.


@dataclass(frozen=True, eq=False)
class Splits:
    """The split of each photo."""

    #: Tenth of each photo, int8 [N] from 0 to 9, in the order of the photos given; a photo that fills in for a split
    #: has a tenth of that split.
    tenths: npt.NDArray[np.int8]
    ids: npt.NDArray[np.int8]  #: Index into `SPLITS` of each photo, int8 [N].
    filled: tuple[Fill, ...]  #: Photos that fill in for a split, sorted by label and split.

    @property
    def names(self) -> list[str]:
        """Name of the split of each photo."""
        return [SPLITS[split] for split in self.ids]


def assign_splits(sha256: Sequence[str], labels: Sequence[str]) -> Splits:
    """Split photos 80/10/10 into train, validation and test by thresholds on their content hashes.

    The position of a photo is the number in the first 16 hex digits of its sha256, as a fraction of 2**64. Its first
    decimal is the tenth of the photo: 0 to 7 train, 8 validates, 9 tests. If a split gets no photos of a label, the
    photo nearest to the range of the split fills in, taken from a split that has at least two.

    Args:
        sha256: Distinct keys of N usable photos, 64 hex digits.
        labels: Labels of the N photos.

    Raises:
        DatasetError: A label has fewer than three photos, or there are fewer than two labels.
    """
    encoded = pa.array(labels, pa.string()).dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()
    codes = np.asarray(encoded.indices).astype(np.int64)
    sizes = np.bincount(codes, minlength=len(names))
    check_labels(dict(zip(names, sizes.tolist(), strict=True)))

    positions = np.frombuffer(bytes.fromhex("".join(key[:16] for key in sha256)), ">u8").astype(np.uint64)
    tenths = np.searchsorted(np.array(_ENDS[:-1], np.uint64), positions, side="right").astype(np.int8)
    ids = np.repeat(np.arange(len(SPLITS), dtype=np.int8), [len(own) for own in SPLIT_TENTHS.values()])[tenths]
    present = np.bincount(codes * len(SPLITS) + ids, minlength=len(names) * len(SPLITS)).reshape(-1, len(SPLITS)) > 0
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
    filled: list[Fill] = []
    for code in np.flatnonzero(~present.all(axis=1)):
        photos = {sha256[place]: place for place in members[code]}
        own = {key: int(ids[place]) for key, place in photos.items()}
        for key, split in _fill({key: int(positions[place]) for key, place in photos.items()}, own):
            own_tenths = SPLIT_TENTHS[SPLITS[split]]
            ids[photos[key]] = split
            tenths[photos[key]] = own_tenths[int(positions[photos[key]]) % len(own_tenths)]
            filled.append(Fill(names[code], SPLITS[split], key))
    return Splits(tenths, ids, tuple(sorted(filled, key=lambda fill: (fill.label, SPLITS.index(fill.split)))))


def fold_tenths(folds: int) -> tuple[tuple[int, ...], ...]:
    """Distribute the tenths among the folds of a cross-validation, from 2 to 10.

    Folds ignore labels: a label with few photos may be missing from a fold, or from all folds but one.

    Raises:
        SettingError: There are fewer or more folds.
    """
    if not 2 <= folds <= TENTHS:
        raise SettingError(f"Cross-validation in {folds} folds is not possible. Give from 2 to {TENTHS} folds.")
    return tuple(tuple(tenth for tenth in range(TENTHS) if tenth * folds // TENTHS == fold) for fold in range(folds))


def _fill(positions: dict[str, int], splits: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Move photos of one label until each split has one; `splits` is changed, each move is yielded."""
    for split in _FILL_ORDER:
        count = Counter(splits.values())
        if not count[split]:
            spare = [key for key in positions if count[splits[key]] > 1]
            # Of equally near photos the smallest key wins, so that the order of photos does not matter.
            nearest = min(spare, key=lambda key: (_distance(positions[key], _RANGES[split]), key))
            splits[nearest] = split
            yield nearest, split


def _distance(position: int, span: range) -> int:
    return max(span[0] - position, position - span[-1], 0)

"""Splits and folds of photos, from the hashes of their bytes or as their dataset gives them.

Splits and folds are unions of ten tenths, so that statistics of each tenth, added up, serve all of them. The tenth of a
photo depends on its bytes alone: it stays the same when other photos are added, and when the photo moves. The
exception is small labels, whose photos may have to fill in for a split that has none.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

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
    is_given: bool = False  #: Whether the dataset gives the test split, which no cross-validation trains on.

    @property
    def crossed(self) -> int:
        """Number of tenths, the first ones, that a cross-validation runs over."""
        return TENTHS - self.is_given

    @property
    def in_folds(self) -> npt.NDArray[np.bool_]:
        """Whether a cross-validation runs over each photo: bool [N]."""
        inside: npt.NDArray[np.bool_] = self.tenths < self.crossed
        return inside

    @property
    def names(self) -> list[str]:
        """Name of the split of each photo."""
        return [SPLITS[split] for split in self.ids]


def assign_splits(sha256: Sequence[str], labels: Sequence[str], given: Sequence[str | None] = ()) -> Splits:
    """Split photos 80/10/10 into train, validation and test by thresholds on their content hashes, or as given.

    The position of a photo is the number in the first 16 hex digits of its sha256, as a fraction of 2**64. Its first
    decimal is the tenth of the photo: 0 to 7 train, 8 validates, 9 tests. If a split gets no photos of a label, the
    photo nearest to the range of the split fills in, taken from a split that has at least two.

    Of photos whose dataset gives splits, the test photos are the last tenth, and all others are in the first nine by
    their positions, whether they train or validate. If no validation photos are given, a ninth of the training photos
    is drawn in the same way. The positions are then those of the hashes of the keys, since the dataset may have been
    split by any digits of the keys themselves.

    Args:
        sha256: Distinct keys of N usable photos, 64 hex digits.
        labels: Labels of the N photos.
        given: Splits of the N photos, where the dataset gives them; empty, or None for all, where it does not.

    Raises:
        DatasetError: A label has too few photos, there are fewer than two labels, or no given test photos.
    """
    encoded = pa.array(labels, pa.string()).dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()
    codes = np.asarray(encoded.indices).astype(np.int64)
    is_given = any(given)
    sizes = dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))
    check_labels(sizes, given=_count_given(labels, given) if is_given else None)
    spread = (hashlib.sha256(key.encode()).hexdigest() for key in sha256) if is_given else sha256
    positions = np.frombuffer(bytes.fromhex("".join(key[:16] for key in spread)), ">u8").astype(np.uint64)
    photos = _Photos(np.array(sha256, dtype=object), codes, positions)
    if not is_given:
        tenths, ids, fills = _draw(photos, TENTHS)
    else:
        ids = np.array([SPLITS.index(split or "train") for split in given], np.int8)
        tenths, fills = np.full(len(ids), TENTHS - 1, np.int8), []
        rest = np.flatnonzero(ids < SPLITS.index("test"))
        tenths[rest], drawn, moved = _draw(_Photos(photos.sha256[rest], codes[rest], positions[rest]), TENTHS - 1)
        if "validation" not in given:
            ids[rest], fills = drawn, moved
    filled = [Fill(names[code], SPLITS[split], key) for code, split, key in fills]
    return Splits(tenths, ids, tuple(sorted(filled, key=lambda fill: (fill.label, SPLITS.index(fill.split)))), is_given)


class _Photos(NamedTuple):
    """N photos."""

    sha256: npt.NDArray[np.object_]  #: Keys, [N].
    codes: npt.NDArray[np.int64]  #: Number of each label, [N].
    positions: npt.NDArray[np.uint64]  #: Positions, [N].


def _count_given(labels: Sequence[str], given: Sequence[str | None]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, split in zip(labels, given, strict=True):
        counts[label][split or "train"] += 1
    return counts


def _draw(
    photos: _Photos, tenths: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8], list[tuple[int, int, str]]]:
    """Draw the splits of photos that are spread over ten tenths, or over nine, the test split left out.

    Returns:
        Tenth and split of each photo, int8 [N] each, and the fills: label, split and key.
    """
    ends = [_POSITIONS * tenth // tenths for tenth in range(1, tenths + 1)]
    spans = (range(ends[7]), *(range(*span) for span in pairwise(ends[7:])))
    own = np.searchsorted(np.array(ends[:-1], np.uint64), photos.positions, side="right").astype(np.int8)
    ids = np.repeat(np.arange(len(SPLITS), dtype=np.int8), [len(each) for each in SPLIT_TENTHS.values()])[own]
    labels = int(photos.codes.max(initial=-1)) + 1
    present = np.bincount(photos.codes * len(spans) + ids, minlength=labels * len(spans)).reshape(-1, len(spans)) > 0
    sizes = np.bincount(photos.codes, minlength=labels)
    members = np.split(np.argsort(photos.codes, kind="stable"), np.cumsum(sizes)[:-1])
    fills = []
    for code in np.flatnonzero(~present.all(axis=1)).tolist():
        places = {str(photos.sha256[place]): place for place in members[code].tolist()}
        splits = {key: int(ids[place]) for key, place in places.items()}
        for key, split in _fill({key: int(photos.positions[place]) for key, place in places.items()}, splits, spans):
            own_tenths = SPLIT_TENTHS[SPLITS[split]]
            ids[places[key]] = split
            own[places[key]] = own_tenths[int(photos.positions[places[key]]) % len(own_tenths)]
            fills.append((code, split, key))
    return own, ids, fills


def fold_tenths(folds: int, tenths: int = TENTHS) -> tuple[tuple[int, ...], ...]:
    """Distribute the first tenths among the folds of a cross-validation, from 2 to their number.

    Folds ignore labels: a label with few photos may be missing from a fold, or from all folds but one.

    Raises:
        SettingError: There are fewer or more folds.
    """
    if not 2 <= folds <= tenths:
        why = "" if tenths == TENTHS else " where the dataset gives the test split, which stays untouched"
        raise SettingError(f"Cross-validation in {folds} folds is not possible{why}. Give from 2 to {tenths} folds.")
    return tuple(tuple(tenth for tenth in range(tenths) if tenth * folds // tenths == fold) for fold in range(folds))


def _fill(positions: dict[str, int], splits: dict[str, int], spans: Sequence[range]) -> Iterator[tuple[str, int]]:
    """Move photos of one label until each split has one; `splits` is changed, each move is yielded."""
    for split in _FILL_ORDER[-len(spans) :]:
        count = Counter(splits.values())
        if not count[split]:
            spare = [key for key in positions if count[splits[key]] > 1]
            # Of equally near photos the smallest key wins, so that the order of photos does not matter.
            nearest = min(spare, key=lambda key: (_distance(positions[key], spans[split]), key))
            splits[nearest] = split
            yield nearest, split


def _distance(position: int, span: range) -> int:
    return max(span[0] - position, position - span[-1], 0)

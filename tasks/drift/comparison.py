"""Compares the new photos of a snapshot with the earlier ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.drift.label_mix import compare_shares
from tasks.drift.result import LEVEL, DriftResult, PropertyTest, TypicalPhoto
from tasks.drift.two_sample import Floats, Mask, PermutationTest, Samples, compare_samples, ranks

#: Photos of the sample of either side at most.
MOST_PHOTOS = 5000
#: Photos that show the changes, of all changes together.
MOST_SHOWN = 12
#: Saturation up to which a picture is grey; JPEG's rounding colours grey pictures a little.
_GREY = 0.01


@dataclass(frozen=True, eq=False)
class _Property:
    """A property of N photos."""

    name: str
    kind: Literal["number", "share", "distance"]
    numbers: Floats  #: The numbers that are tested: float64 [N, K].
    values: Floats  #: The values for people: float64 [N]; of a share, whether a photo counts.


def choose_sample(keys: pa.ChunkedArray, most: int = MOST_PHOTOS) -> pa.Array:
    """Choose keys by their last digits, the same ones again as far as there is room; the first digits make splits."""
    order = pc.sort_indices(pc.utf8_slice_codeunits(keys, 48, 64))
    return keys.take(order[:most]).combine_chunks()


def compare_photos(photos: pa.Table, is_new: Mask, statistics: pa.Table) -> DriftResult:
    """Compare new photos with earlier ones.

    Args:
        photos: All photos: the columns `sha256`, `path` and `label`, N rows, each photo once.
        is_new: Which of them are new: bool [N], some of either.
        statistics: Statistics of a sample of both: columns of `PHOTO_STATISTICS`, in any order.
    """
    encoded = photos["label"].combine_chunks().dictionary_encode()
    codes, labels = np.asarray(encoded.indices).astype(np.int64), encoded.dictionary.to_pylist()
    places, samples, rows = _find_samples(photos, codes, is_new, statistics)
    properties = list(_properties(rows, samples)) if len(places) else []
    least = LEVEL / (1 + len(properties))
    tests = compare_samples([each.numbers for each in properties], samples, least) if properties else []
    found = [_describe(*both, samples) for both in zip(properties, tests, strict=True)]
    shown = [places[samples.new][np.argsort(-test.typical[samples.new], kind="stable")] for test in tests]
    counts = [np.bincount(codes[chosen], minlength=len(labels)) for chosen in (is_new, ~is_new)]
    mix = compare_shares(counts[0], counts[1])
    found.append(PropertyTest(f"label {labels[mix.label]}", "share", mix.new, mix.earlier, mix.effect, mix.p_value))
    # No photo shows that there are few of a label.
    shown.append(np.flatnonzero(is_new & (codes == mix.label) & (mix.new > mix.earlier)))
    order = sorted(range(len(found)), key=lambda place: _clearness(found[place]))
    ordered = _correct([found[place] for place in order])
    return DriftResult(
        new=int(is_new.sum()),
        earlier=int((~is_new).sum()),
        sampled=(int(samples.new.sum()), int((~samples.new).sum())),
        tests=tuple(ordered),
        typical=tuple(_show(photos, ordered, [shown[place] for place in order])),
    )


def _find_samples(
    photos: pa.Table, codes: npt.NDArray[np.int64], is_new: Mask, statistics: pa.Table
) -> tuple[npt.NDArray[np.int64], Samples, pa.Table]:
    """Find the photos of the samples in labels that both have: their places, sorted by label, and their statistics."""
    found = pc.index_in(photos["sha256"], statistics["sha256"].combine_chunks()).combine_chunks()
    places = np.flatnonzero(np.asarray(pc.is_valid(found)))
    both = np.intersect1d(codes[places[is_new[places]]], codes[places[~is_new[places]]])
    places = places[np.isin(codes[places], both)]
    places = places[np.argsort(codes[places], kind="stable")]
    rows = statistics.take(found.take(pa.array(places)))
    return places, Samples(codes[places], is_new[places]), rows


def _properties(rows: pa.Table, samples: Samples) -> Iterator[_Property]:
    """The properties of photos of a sample that are tested, all but the labels."""
    columns = {
        name: np.asarray(rows[name], float) for name in rows.column_names if name not in ("sha256", "format", "vector")
    }
    numbers = {
        "pixels": columns["width"] * columns["height"],
        "aspect ratio": columns["width"] / columns["height"],
        **{name: column for name, column in columns.items() if name not in ("width", "height")},
    }
    for name, values in numbers.items():
        yield _Property(name, "number", ranks(values, samples), values)
    grey = (columns["saturation"] <= _GREY).astype(float)
    yield _Property("grey photos", "share", grey[:, np.newaxis], grey)
    formats = rows["format"].to_numpy(zero_copy_only=False).astype(str)
    names = np.unique(formats)
    each = (formats[:, np.newaxis] == names).astype(float)
    # The format that has become most frequent stands for all.
    rise = [_share(own, samples)[0] - _share(own, samples)[1] for own in each.T]
    risen = int(np.argmax(rise))
    yield _Property(f"format {names[risen]}", "share", each, each[:, risen])
    if "vector" in rows.column_names:
        vectors = np.asarray(rows["vector"].combine_chunks().flatten()).reshape(len(rows), -1)
        yield _Property("vectors", "distance", vectors.astype(np.float64), np.zeros(len(rows)))


def _describe(own: _Property, test: PermutationTest, samples: Samples) -> PropertyTest:
    if own.kind == "distance":
        return PropertyTest(own.name, own.kind, test.effect, 0.0, test.effect, test.p_value)
    new, earlier = (_share if own.kind == "share" else _medians)(own.values, samples)
    return PropertyTest(own.name, own.kind, new, earlier, test.effect, test.p_value)


def _share(values: Floats, samples: Samples) -> tuple[float, float]:
    """Shares of the new photos and of the earlier ones, these in the labels' proportions of the new ones."""
    earlier = np.average(values[~samples.new], weights=_weights(samples))
    return float(values[samples.new].mean()), float(earlier)


def _medians(values: Floats, samples: Samples) -> tuple[float, float]:
    """Medians, likewise."""
    order = np.argsort(values[~samples.new], kind="stable")
    weights = np.cumsum(_weights(samples)[order])
    middle = order[np.searchsorted(weights, weights[-1] / 2)]
    return float(np.median(values[samples.new])), float(values[~samples.new][middle])


def _weights(samples: Samples) -> Floats:
    """Weights of the earlier photos by which each label has the same share of them as of the new photos."""
    new, earlier = (
        np.bincount(samples.labels[chosen], minlength=samples.labels[-1] + 1) for chosen in (samples.new, ~samples.new)
    )
    weights: Floats = (new / np.maximum(earlier, 1))[samples.labels[~samples.new]]
    return weights


def _clearness(test: PropertyTest) -> tuple[float, bool, float]:
    """Sorts the clearest test first; of equal p-values, a distance, which says little to people, last."""
    return test.p_value, test.kind == "distance", -test.effect


def _correct(tests: Sequence[PropertyTest]) -> list[PropertyTest]:
    """Correct p-values, which rise, for their number (Holm 1979, https://www.jstor.org/stable/4615733)."""
    corrected = np.maximum.accumulate([test.p_value * (len(tests) - place) for place, test in enumerate(tests)])
    return [test._replace(p_value=min(1.0, p)) for test, p in zip(tests, corrected.tolist(), strict=True)]


def _show(
    photos: pa.Table, tests: Sequence[PropertyTest], shown: Sequence[npt.NDArray[np.int64]]
) -> Iterator[TypicalPhoto]:
    """Show some photos of each change, given the places of each test's photos: the most typical first, each once."""
    changed = [(test, places) for test, places in zip(tests, shown, strict=True) if test.changed][:MOST_SHOWN]
    seen: set[int] = set()
    for test, places in changed:
        own = [place for place in places.tolist() if place not in seen][: MOST_SHOWN // len(changed)]
        seen.update(own)
        for row in photos.select(["sha256", "path", "label"]).take(pa.array(own, pa.int64())).to_pylist():
            yield TypicalPhoto(test.name, **row)

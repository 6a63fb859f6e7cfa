"""Splits that a dataset gives its photos."""

import re
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DatasetError
from tasks.snapshot.split_facts import GivenSplits

#: The usual names of each split, in any case.
_NAMES = {
    "train": r"train(ing)?",
    "validation": r"val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?",
    "test": r"test(ing)?|hold[ _-]?out",
}
_SUFFIX = r"([ _-]?(set|split|data|images|photos))?"
_PATTERNS = {split: re.compile(f"({names}){_SUFFIX}", re.IGNORECASE) for split, names in _NAMES.items()}


class SettledSplits(NamedTuple):
    """Photos with the splits in which they are used."""

    table: pa.Table  #: The photos; `split` is one of `SPLITS` for all of them, or null for all: drawn by hash.
    given: GivenSplits | None  #: The splits that the dataset gives; None if they are drawn.


def to_split(name: str) -> str | None:
    """Find the split that a folder, a file or a table calls by a name such as `val`; None for any other name."""
    return next((split for split, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)


def settle_splits(labelled: pa.Table) -> SettledSplits:
    """Settle the splits in which the photos of a dataset are used.

    Of a dataset that gives training photos alone, all splits are drawn. Of one that gives two splits, the one beside
    `train` is the test split, whatever it is called. Photos with the same bytes are in one split, the first of test,
    validation and train that is given to any of them, so that no head is trained on a test photo. A photo without a
    split is a training photo.

    Args:
        labelled: Columns `sha256` and `split`, and others, which are kept: the splits as the dataset gives them, null
            where it gives none.

    Raises:
        DatasetError: The dataset gives splits, but no training photos.
    """
    raw = labelled["split"]
    found = {item["values"]: item["counts"] for item in pc.value_counts(raw).to_pylist()}
    without = found.pop(None, 0)
    if found.keys() <= {"train"}:
        return SettledSplits(_with_splits(labelled, pa.nulls(len(raw), pa.string())), None)
    if "train" not in found and not without:
        raise DatasetError(
            f"The dataset gives no photos to train on, only the splits {', '.join(sorted(found))}. Add photos of the "
            "split train, or remove the splits: they are drawn then."
        )
    test = "test" if "test" in found else "validation"
    names = pa.array(["train", *({"validation"} & found.keys() - {test}), "test"])
    ranks = pc.fill_null(pc.index_in(pc.if_else(pc.equal(raw, test), "test", raw), names), 0)
    content = labelled["sha256"].combine_chunks().dictionary_encode().indices
    grouped = pa.table([content, ranks], ["content", "rank"]).group_by("content").aggregate([("rank", "min_max")])
    bounds = grouped.sort_by("content")["rank_min_max"].combine_chunks()
    lowest, highest = bounds.field("min"), bounds.field("max")
    repeated = pc.sum(pc.not_equal(lowest, highest)).as_py()
    table = _with_splits(labelled, names.take(highest.take(content)))
    return SettledSplits(table, GivenSplits(test, "validation" in names.to_pylist(), found, repeated, without))


def count_splits(photos: pa.Table) -> dict[str, dict[str, int]] | None:
    """Count the photos of each label in each given split, by the columns `label` and `split`; None if none is given."""
    if photos["split"].null_count:
        return None
    counts: dict[str, dict[str, int]] = {}
    for row in photos.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist():
        counts.setdefault(row["label"], {})[row["split"]] = row["count_all"]
    return counts


def _with_splits(labelled: pa.Table, splits: pa.Array) -> pa.Table:
    return labelled.set_column(labelled.column_names.index("split"), "split", splits)

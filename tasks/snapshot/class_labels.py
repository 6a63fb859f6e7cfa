"""Labels in a column of Arrow: text, dictionaries, whole numbers, truth values, and Hugging Face's class numbers."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: Key of the metadata in which Hugging Face's library datasets describes the columns of a schema.
_FEATURES = b"huggingface"


class LabelTypeError(Exception):
    """A column holds no labels; the message tells what it holds, after a verb."""


def described_columns(schema: pa.Schema) -> dict[str, Any]:
    """Read what Hugging Face's library datasets says of each column of a schema; empty where it says nothing."""
    try:
        features = json.loads((schema.metadata or {})[_FEATURES])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """Find the names of a column's class numbers, as the feature `ClassLabel` of Hugging Face's datasets keeps them.

    Returns:
        The name of each number from 0 on; None where the schema has none for the column.
    """
    described = described_columns(schema).get(column)
    if not isinstance(described, dict) or described.get("_type") != "ClassLabel":
        return None
    names = described.get("names")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def tidy_texts(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return labels or splits in Unicode's form NFC without white space at their ends; empty ones are null."""
    plain = pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFC"))
    return pc.if_else(pc.equal(plain, ""), None, plain)


def label_texts(column: pa.ChunkedArray, names: list[str] | None = None) -> pa.ChunkedArray:
    """Convert labels to text; null stays null, and so do numbers below 0 in a column of class numbers.

    Args:
        column: Text, dictionaries of it, whole numbers or truth values.
        names: Names of class numbers; without them numbers become their digits.

    Raises:
        LabelTypeError: The column holds something else, or a number without a name.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if names is not None and pa.types.is_integer(kind):
        return _named(column.cast(pa.int64()), names)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        raise LabelTypeError("lists, and a photo has one label")
    plain = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in plain):
        raise LabelTypeError(f"values of type {kind}, and a label is text, a whole number or a truth value")
    return column.cast(pa.string())


def _named(numbers: pa.ChunkedArray, names: list[str]) -> pa.ChunkedArray:
    known = pc.if_else(pc.less(numbers, 0), None, numbers)
    highest = pc.max(known).as_py()
    if highest is not None and highest >= len(names):
        raise LabelTypeError(f"the class number {highest}, and its schema names the classes 0 to {len(names) - 1}")
    return pa.chunked_array([pa.array(names, pa.string()).take(chunk) for chunk in known.chunks], pa.string())

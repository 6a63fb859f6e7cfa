"""Writes predictions as CSV, JSON and Parquet, table by table."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import pyarrow as pa

from tasks.predict.models import Model
from tasks.shards.parquet import regroup, write_parquet
from tasks.shards.schemas import PREDICTED, describe

ROWS_PER_GROUP = 4096
#: Decimals of a probability as text.
_DECIMALS = 6


class Row(NamedTuple):
    """The prediction of a photo."""

    path: str  #: Path of the photo.
    sha256: str | None  #: Its key; None if it could not be read.
    #: Labels with their probabilities, the most probable first; empty if it could not be decoded.
    ranked: tuple[tuple[str, float], ...]
    novelty: float | None  #: How unlike the training photos it is, in nats; None without a prediction or threshold.
    unknown: bool | None  #: Whether its novelty exceeds the threshold of the model; None likewise.
    reason: str | None  #: The reason for having no prediction, or None.
    message: str | None  #: Cause and remedy, or None.


def rows_of(tables: Iterable[pa.Table], labels: Sequence[str], top: int) -> Iterator[Row]:
    """Yield the rows of tables of `PREDICTED`, each with the `top` most probable labels."""
    for table in tables:
        for row in table.to_pylist():
            pairs = zip(labels, row["probabilities"] or (), strict=False)
            ranked = sorted(pairs, key=lambda pair: -pair[1])[:top]
            rounded = tuple((label, round(probability, _DECIMALS)) for label, probability in ranked)
            novelty = None if row["novelty"] is None else round(row["novelty"], _DECIMALS)
            yield Row(row["path"], row["sha256"], rounded, novelty, row["unknown"], row["reason"], row["message"])


def write_csv(rows: Iterable[Row], top: int, file: TextIO) -> None:
    """Write rows as CSV with a header: predicted and probability, then predicted_2, probability_2 and so on.

    `unknown` is true, false or empty.
    """
    suffixes = ["", *(f"_{rank}" for rank in range(2, top + 1))]
    ranked = [f"{name}{suffix}" for suffix in suffixes for name in ("predicted", "probability")]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", *ranked, "novelty", "unknown", "reason", "message", "sha256"])
    for row in rows:
        values = [value for pair in row.ranked for value in pair]
        values += [""] * (len(ranked) - len(values))
        unknown = "" if row.unknown is None else str(row.unknown).lower()
        writer.writerow([row.path, *values, row.novelty, unknown, row.reason, row.message, row.sha256])


def write_json(rows: Iterable[Row], file: TextIO) -> None:
    """Write rows as one JSON list, an object a line."""
    before = "[\n"
    for row in rows:
        predicted, probability = row.ranked[0] if row.ranked else (None, None)
        values = {
            "path": row.path,
            "predicted": predicted,
            "probability": probability,
            "probabilities": dict(row.ranked) or None,
            "novelty": row.novelty,
            "unknown": row.unknown,
            "reason": row.reason,
            "message": row.message,
            "sha256": row.sha256,
        }
        file.write(f"{before}{json.dumps(values, ensure_ascii=False)}")
        before = ",\n"
    file.write("\n]\n" if before == ",\n" else "[]\n")


def write_rows(tables: Iterable[pa.Table], model: Model, path: Path) -> None:
    """Write tables of `PREDICTED` as one Parquet file, whose metadata names the model and its labels."""
    facts = {"model": model.key, "labels": list(model.labels)}
    schema = describe(PREDICTED, "predict", model.key, facts)
    write_parquet(path, regroup(tables, ROWS_PER_GROUP), schema, ROWS_PER_GROUP)

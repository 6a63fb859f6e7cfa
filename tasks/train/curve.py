"""The learning curve: how a head did on the validation split at each checkpoint of its training."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.schemas import CURVE, describe
from tasks.train.settings import TrainSettings

#: Which of a checkpoint's weights are measured: their moving averages, or the weights as they are.
Weights = Literal["averages", "plain"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)


@dataclass(frozen=True)
class CurvePoint:
    """How a checkpoint did.

    Args:
        step: Training steps done.
        accuracy: Share of the validation photos that are right.
        log_loss: Mean negative log of the probability given to the right label.
        photos: Validation photos.
        time: When it was measured.
    """

    step: int
    accuracy: float
    log_loss: float
    photos: int
    time: dt.datetime


def curve_path(folder: AnyPath, weights: Weights) -> AnyPath:
    """The Parquet file of a head's learning curve, in the head's folder."""
    return folder / f"curve-{weights}.parquet"


def read_curve(path: AnyPath) -> pa.Table:
    """Read a learning curve, in the order of its steps; empty where there is none.

    Returns:
        A table of the columns of `CURVE`.

    Raises:
        StoreError: It is damaged or of another version.
    """
    try:
        table = read_parquet(path)
    except FileNotFoundError:
        return CURVE.empty_table()
    except (pa.ArrowException, OSError) as exc:
        raise StoreError(f"{path} is damaged ({exc}). Delete it; `watch` writes it again from then on.") from exc
    if not table.schema.equals(CURVE):
        raise StoreError(f"{path} has other columns than this version writes. Delete it and watch again.")
    return table


def add_point(point: CurvePoint, folder: AnyPath, weights: Weights, settings: TrainSettings) -> None:
    """Add a point to a head's learning curve, in place of the one of the same step.

    Args:
        point: The point.
        folder: The head's folder.
        weights: Which of the checkpoint's weights were measured.
        settings: How the head is trained.

    Raises:
        StoreError: The curve that is there is damaged.
    """
    path = curve_path(folder, weights)
    there = read_curve(path)
    others = there.filter(pc.not_equal(there["step"], point.step))
    new = pa.Table.from_pylist([asdict(point)], CURVE)
    schema = describe(CURVE, "train", folder.name, asdict(settings))
    publish_parquet(path, pa.concat_tables([others, new.cast(others.schema)]).sort_by("step").cast(schema))

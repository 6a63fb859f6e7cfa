"""The learning curve: accuracy and log loss on the validation split at each checkpoint of a training."""

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

#: The weights of a checkpoint that are measured: the moving averages, or the plain weights.
Weights = Literal["averages", "plain"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)


@dataclass(frozen=True)
class CurvePoint:
    """Score of a checkpoint."""

    step: int  #: Training steps done.
    accuracy: float  #: Share of the validation photos that are predicted rightly.
    log_loss: float  #: Mean of -ln(probability of the true label).
    photos: int  #: Number of validation photos.
    time: dt.datetime  #: Time of the measurement.


def curve_path(folder: AnyPath, weights: Weights) -> AnyPath:
    """Return the Parquet file of a learning curve in a head's folder."""
    return folder / f"curve-{weights}.parquet"


def read_curve(path: AnyPath) -> pa.Table:
    """Read a learning curve in the order of its steps, with the columns of `CURVE`; empty without a file.

    Raises:
        StoreError: The file is damaged or of another version.
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
    """Add a point to the learning curve in a head's folder, in place of one of the same step.

    Raises:
        StoreError: The present curve is damaged.
    """
    path = curve_path(folder, weights)
    curve = read_curve(path)
    others = curve.filter(pc.not_equal(curve["step"], point.step))
    new = pa.Table.from_pylist([asdict(point)], CURVE)
    schema = describe(CURVE, "train", folder.name, asdict(settings))
    publish_parquet(path, pa.concat_tables([others, new.cast(others.schema)]).sort_by("step").cast(schema))

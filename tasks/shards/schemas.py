"""Parquet schemas of all files; they are public, since people and other tools read the files.

Row keys (`sha256`) are the 64 lower-case hex digits of the sha256 of a photo's bytes. Every file carries key-value
metadata: `schema_version`, `stage`, `key`, and `settings`, the settings behind the key as JSON.
"""

import json
from collections.abc import Collection, Mapping

import pyarrow as pa

from tasks.shards.manifests import SCHEMA_VERSION


def _schema(nullable: Collection[str] = (), **columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])


#: `split` is the split that the dataset gives the photo, one of `tasks.snapshot.splits.SPLITS`; null where the hash
#: draws it. Files of earlier versions lack the column.
SNAPSHOT = _schema(
    nullable={"duplicate_of", "split"},
    sha256=pa.string(),
    path=pa.string(),
    label=pa.string(),
    bytes=pa.int64(),
    duplicate_of=pa.string(),
    conflict=pa.bool_(),
    split=pa.string(),
)

DECODE = _schema(
    sha256=pa.string(),
    image=pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())]),
    width=pa.int32(),
    height=pa.int32(),
    format=pa.string(),
    mode=pa.string(),
)

REJECTED = _schema(sha256=pa.string(), path=pa.string(), reason=pa.string(), message=pa.string())

#: `cross_validated` has the probabilities by the head of the photo's fold, which never saw it; null without folds, and
#: for photos in no fold: test photos that the dataset gives.
PREDICTIONS = _schema(
    nullable={"cross_validated"},
    sha256=pa.string(),
    path=pa.string(),
    label=pa.string(),
    predicted=pa.string(),
    probabilities=pa.list_(pa.float32()),
    split=pa.string(),
    cross_validated=pa.list_(pa.float32()),
)

#: One row for each photo, the worst first; see `tasks.evaluate.label_issues`.
LABEL_ISSUES = _schema(
    sha256=pa.string(),
    path=pa.string(),
    label=pa.string(),
    suggested=pa.string(),
    label_probability=pa.float32(),
    suggested_probability=pa.float32(),
    score=pa.float32(),
    is_issue=pa.bool_(),
)

#: One row for each photo that has near duplicates: the number of its group, and its cosine with the most similar photo.
NEAR_DUPLICATES = _schema(
    group=pa.int64(),
    sha256=pa.string(),
    path=pa.string(),
    label=pa.string(),
    split=pa.string(),
    similarity=pa.float32(),
)

#: One row for each predicted photo. If it could not be read or decoded, `reason` and `message` say why and the
#: prediction is null; `sha256` is null too if no bytes could be read. `novelty` and `unknown` are null if the model has
#: no threshold.
PREDICTED = _schema(
    nullable={"sha256", "predicted", "probability", "probabilities", "novelty", "unknown", "reason", "message"},
    path=pa.string(),
    sha256=pa.string(),
    predicted=pa.string(),
    probability=pa.float32(),
    probabilities=pa.list_(pa.float32()),
    novelty=pa.float32(),
    unknown=pa.bool_(),
    reason=pa.string(),
    message=pa.string(),
)

#: One row for each checkpoint; `time` is the time of the measurement.
CURVE = _schema(
    step=pa.int64(), accuracy=pa.float64(), log_loss=pa.float64(), photos=pa.int64(), time=pa.timestamp("ms", "UTC")
)

#: One row for each cell; `photos_per_label` is null if all photos of every label are trained on.
COMPARISON = _schema(
    nullable={"photos_per_label"},
    way=pa.string(),
    photos_per_label=pa.int32(),
    seed=pa.int32(),
    photos=pa.int64(),
    test_photos=pa.int64(),
    correct=pa.int64(),
    accuracy=pa.float64(),
    low=pa.float64(),
    high=pa.float64(),
    seconds=pa.float64(),
    passes=pa.int64(),
    cut=pa.bool_(),
    cell=pa.string(),
)

#: One row for each photo that the drift stage has measured; `vector` is a projection of its bottleneck.
PHOTO_STATISTICS = _schema(
    sha256=pa.string(),
    width=pa.int32(),
    height=pa.int32(),
    format=pa.string(),
    brightness=pa.float32(),
    sharpness=pa.float32(),
    saturation=pa.float32(),
    warmth=pa.float32(),
    tint=pa.float32(),
    vector=pa.list_(pa.field("item", pa.float32(), nullable=False), 64),
)


def bottleneck_schema(width: int, dtype: str) -> pa.Schema:
    """Schema of a bottleneck store whose vectors have `width` integers, uint8 or int16."""
    number = pa.field("item", pa.type_for_alias(dtype), nullable=False)
    return _schema(sha256=pa.string(), view=pa.int8(), bottleneck=pa.list_(number, width))


def describe(schema: pa.Schema, stage: str, key: str, settings: Mapping[str, object]) -> pa.Schema:
    """Add the metadata of every file to a schema."""
    return schema.with_metadata(
        {
            "schema_version": str(SCHEMA_VERSION),
            "stage": stage,
            "key": key,
            "settings": json.dumps(settings, sort_keys=True, ensure_ascii=False),
        }
    )

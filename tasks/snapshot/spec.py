"""Specification of the snapshot stage."""

from tasks.stage_spec import Cost, StageSpec

SNAPSHOT = StageSpec(
    name="snapshot",
    outputs=("snapshot/{dataset}/{date}.json", "snapshot/{snapshot}.parquet"),
    permanent=("snapshot/{dataset}/hashes.parquet",),
    cost=Cost.NEW_PHOTOS,
    action="take the snapshot",
    preposition="with",
    table="a snapshot, one row a photo",
)

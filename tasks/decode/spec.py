"""Specification of the decode stage."""

from tasks.stage_spec import Cost, StageSpec

DECODE = StageSpec(
    name="decode",
    outputs=(
        "decode/{key}/manifests/{snapshot}.json",
        "decode/{key}/part-{shard}.parquet",
        "decode/{key}/rejected/part-{shard}.parquet",
        "decode/{key}/",
    ),
    store=True,
    cost=Cost.NEW_PHOTOS,
    action="decode",
    preposition="",
    table="decoded photos",
)

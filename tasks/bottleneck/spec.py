"""Specification of the bottleneck stage."""

from tasks.stage_spec import Cost, StageSpec

BOTTLENECK = StageSpec(
    name="bottleneck",
    outputs=(
        "bottleneck/{key}/manifests/{snapshot}.json",
        "bottleneck/{key}/part-{shard}.parquet",
        "bottleneck/{key}/",
    ),
    permanent=(
        "bottleneck/{key}/int8-{any}.tflite",
        "bottleneck/{key}/openvino-{any}.zip",
        "bottleneck/{key}/export-{any}/",
        "bottleneck/{key}/vectors-{any}.npz",
    ),
    store=True,
    needs={"train": ("head",)},
    cost=Cost.NEW_PHOTOS,
    action="compute bottlenecks",
    table="bottlenecks, one row a photo and view",
)

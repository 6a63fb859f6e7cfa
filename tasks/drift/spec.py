"""Specification of the drift stage."""

from tasks.stage_spec import StageSpec

#: File of a dataset's folder with the statistics of single photos, which later runs reuse.
STATISTICS_FILE = "photo_statistics.parquet"

DRIFT = StageSpec(
    name="drift",
    outputs=("drift/{dataset}/{key}.json", f"drift/{{dataset}}/{STATISTICS_FILE}"),
    needs={"on_drift": ("warn", "fail")},
    action="compare the new photos",
    preposition="",
    table="statistics of single photos, one row a photo",
    result="a comparison of new photos with earlier ones",
)

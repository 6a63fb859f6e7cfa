"""Specification of the download stage."""

from tasks.stage_spec import StageSpec

DOWNLOAD = StageSpec(
    name="download",
    outputs=("download/{dataset}/{date}.json", "download/{dataset}/{key}/"),
    permanent=("download/{dataset}/{any}",),
    opaque=True,
    action="fetch the photos",
)

"""Publishes a comparison: a table, figures, and a self-contained report."""

import datetime as dt
from collections.abc import Mapping, Sequence

from tasks.compare.figures import photos_figure, seconds_figure
from tasks.compare.settings import WAYS
from tasks.compare.table import average, tabulate_cells
from tasks.paths import AnyPath
from tasks.report.templates import page_environment
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import describe
from tasks.storage.files import publish_bytes


def publish_comparison(
    folder: AnyPath, cells: Sequence[Manifest], dataset: str, date: dt.date, provenance: Mapping[str, str]
) -> None:
    """Write comparison.parquet, accuracy-by-{photos,seconds}.svg and report.html to the folder named after its key.

    Args:
        folder: Folder of the comparison.
        cells: Manifests of the cells, which have one backbone.
        dataset: Name of the dataset.
        date: Date of the run.
        provenance: Keys and parameters, in the order of the report.
    """
    table, backbone = tabulate_cells(cells), cells[0].settings["backbone"]
    points = average(table)
    photos, seconds = photos_figure(points), seconds_figure(points)
    schema = describe(table.schema, "compare", folder.name, {**provenance, "backbone": backbone["name"]})
    publish_parquet(folder / "comparison.parquet", table.cast(schema))
    publish_bytes(folder / "accuracy-by-photos.svg", photos.encode())
    publish_bytes(folder / "accuracy-by-seconds.svg", seconds.encode())
    page = page_environment("tasks.compare").get_template("comparison.html.j2")
    text = page.render(
        dataset=dataset,
        date=date,
        backbone=backbone,
        provenance=provenance,
        ways=WAYS,
        points=points,
        photos=photos,
        seconds=seconds,
        test_photos=table.column("test_photos")[0].as_py(),
    )
    publish_bytes(folder / "report.html", text.encode())

"""CompareTraining: measures transfer learning against training whole networks."""

from collections.abc import Iterator, Mapping
from typing import Any

import luigi

from pipeline.base_task import BaseTask
from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import check_trainable
from tasks.compare.plan import ComparisonPlan, plan_cells
from tasks.compare.task import TrainCell
from tasks.decode.task import DecodePhotos
from tasks.errors import SettingError
from tasks.keys import fingerprint
from tasks.parameters import NumberParameter, SizesParameter
from tasks.paths import AnyPath
from tasks.runs.record_writer import record_header
from tasks.runtime.os_errors import explain_os_errors
from tasks.shards.manifests import Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.files import publish_json


class CompareTraining(BaseTask):
    """Compares a head on frozen bottlenecks with whole networks, on growing numbers of training photos."""

    image_size: NumberParameter[int] = NumberParameter(
        int, 0, 4096, default=128, description="Height and width of the input in pixels; 0 is the backbone's default."
    )
    photos_per_label: SizesParameter = SizesParameter(
        default=(5, 20, 50, 100, 0), description="Numbers of training photos a label, separated by commas, or all."
    )
    seeds: NumberParameter[int] = NumberParameter(
        int, 1, 100, default=3, description="Random samples of the training photos for each number up to 50 a label."
    )
    epochs: NumberParameter[int] = NumberParameter(
        int, 1, default=12, description="Passes of a whole network over its training photos; few photos get more."
    )
    budget_minutes: NumberParameter[float] = NumberParameter(
        float, 0, default=25, description="Minutes for the training of all whole networks; 0 is no limit."
    )

    def check(self) -> None:
        """Check that there is one backbone, and the parameters as of every task."""
        if len(self.backbones) > 1:
            raise SettingError(
                f"CompareTraining trains one backbone in three ways, and --backbone names {len(self.backbones)}. Name "
                "one."
            )
        super().check()

    def record_path(self) -> AnyPath:
        """Path of the comparison's record."""
        return self.root.below("compare", "runs", self.source().name, super().record_path().name)

    def run(self) -> Iterator[luigi.Task | list[TrainCell]]:
        """Prepare the backbone, take the snapshot, decode, train all cells, and publish their results."""
        (backbone,), snapshot = self.prepare_backbones(), self.take_snapshot()
        yield backbone
        prepared = backbone.prepared()
        check_trainable(prepared.backbone)
        yield snapshot
        context = self.snapshot_context([prepared], snapshot)
        decode = DecodePhotos(context=context, settings=prepared.backbone.decode(self.encoding))
        yield decode
        cells = self._cells(prepared, decode)
        yield cells
        with explain_os_errors(f"The comparison for {self.date}", self.root.path):
            self._publish(cells, backbone.manifest(), snapshot.manifest())

    def _cells(self, prepared: Prepared, decode: DecodePhotos) -> list[TrainCell]:
        from tasks.train.photos import load_pictured

        photos = load_pictured(decode.snapshot, decode.manifest(), decode.settings, self.root)
        training = [int((photos.of("train") & (photos.truth == label)).sum()) for label in range(len(photos.labels))]
        plan = ComparisonPlan(self.photos_per_label, self.seeds, self.epochs, self.budget_minutes)
        cells = plan_cells(plan, training, prepared.backbone, self.encoding)
        return [TrainCell(context=decode.context, settings=settings) for settings in cells]

    def _publish(self, cells: list[TrainCell], prepared: Manifest, snapshot: Manifest) -> None:
        from tasks.compare.report import publish_comparison

        manifests = [cell.manifest() for cell in cells]
        folder = self.root.below("compare", fingerprint({"cells": [manifest.key for manifest in manifests]}))
        provenance = {"snapshot": snapshot.key, "comparison": folder.name, **self.parameters()}
        publish_comparison(folder, manifests, self.source().name, self.date, provenance)
        own = [manifest for manifest in manifests if manifest.run == self.run_id]
        publish_json(
            self.record_path(),
            {
                **record_header(self.about(), [prepared], snapshot),
                "comparison": folder.name,
                "table": str(folder / "comparison.parquet"),
                "report": str(folder / "report.html"),
                "cells": len(cells),
                "cells_new": len(own),
                "seconds": round(sum(manifest.seconds for manifest in own), 3),
            },
        )

    def summary(self, record: Mapping[str, Any], *, is_new: bool) -> list[str]:
        """The number of cells, or that there was nothing to do, and the paths of table and report."""
        if is_new:
            trained = f"{record['cells_new']} of them trained now in {record['seconds']:,.0f} s"
            first = f"\nCells     {record['cells']}, {trained}"
        else:
            name, date = record["dataset"]["name"], record["date"]
            first = f"Nothing to do: {name} was compared for {date} on the same photos."
        ignored = [f"{head:<9} {line}" for head, line in IgnoredSummary.from_details(record).lines()]
        return [first, *ignored, f"Table     {record['table']}", f"Report    {record['report']}"]

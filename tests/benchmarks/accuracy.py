"""What a lower precision costs: 5-fold accuracy with each precision, and how its bottlenecks point beside float32's.

    python -m tests.benchmarks.accuracy --output FOLDER

Each precision is a run of the real `luigi` command with all other parameters at their defaults, in one data root.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from tasks.bottleneck.precision import PRECISIONS
from tasks.hardware import find_hardware
from tests.benchmarks.table import Table, parser, tell
from tests.pipeline.command import Project

DATES = {precision: f"2026-01-0{day}" for day, precision in enumerate(PRECISIONS, start=1)}


def vectors(store: Path) -> npt.NDArray[np.float32]:
    """All bottlenecks of a store as they are stored, in the order of photos and views: float32 [N, D]."""
    table = ds.dataset(sorted(store.glob("part-*.parquet"))).to_table()
    table = table.sort_by([("sha256", "ascending"), ("view", "ascending")])
    numbers = table.column("bottleneck").combine_chunks()
    return np.asarray(numbers.flatten(), np.float32).reshape(len(numbers), -1)


def cosines(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cosine of each pair of rows."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    shares: npt.NDArray[np.float32] = (one * other).sum(axis=1) / lengths
    return shares


def run(project: Project, precision: str, backbone: str) -> dict[str, Any]:
    """Run with all defaults but these, and return the record."""
    date = DATES[precision]
    defaults = {"image_size": "0", "views": "2", "folds": "5"}
    done = project.retrain(date=date, precision=precision, backbone=backbone, **defaults)
    if done.code:
        sys.exit(done.errors)
    return project.record(date)


def main() -> None:
    """Measure, print the tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"))
    options.add_argument("--backbone", default="efficientnet_lite0")
    arguments = options.parse_args()
    hardware = find_hardware()
    accuracies: dict[str, list[float]] = {}
    likeness: dict[str, list[float]] = {}
    least: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        project = Project(arguments.source, Path(folder))
        exact = None
        for precision in PRECISIONS:
            if precision == "bfloat16" and not (hardware.gpu or hardware.bfloat16):
                continue
            record = run(project, precision, arguments.backbone)
            accuracies[precision] = [100 * record["metrics"]["cross_validation"]["accuracy"]]
            found = vectors(project.root / "bottleneck" / record["bottleneck"])
            exact = found if exact is None else exact
            alike = cosines(found, exact)
            likeness[precision] = [float(alike.mean())]
            least[precision] = [float(alike.min())]
    title = f"{arguments.backbone}, all other parameters at their defaults"
    shown = {
        f"{title}: 5-fold accuracy, %": accuracies,
        "Mean cosine of a bottleneck to float32's": likeness,
        "Least cosine": least,
    }
    tell([Table("accuracy", name, "", "float32", rows) for name, rows in shown.items()], arguments.output)


if __name__ == "__main__":
    main()

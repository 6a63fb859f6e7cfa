"""Five-fold accuracy with each precision, and the cosines of its bottlenecks to those in float32.

Each precision is a run of the real `luigi` command in one data root.
"""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from tests.benchmarks.measure import FLOWERS, Output, Source, Table, publish, run_command, usable_precisions
from tests.benchmarks.runs import read_record, retrain


def read_vectors(store: Path) -> npt.NDArray[np.float32]:
    """Read the stored bottlenecks in the order of photos and views, float32 [N, D]."""
    table = ds.dataset(sorted(store.glob("part-*.parquet"))).to_table()
    numbers = table.sort_by([("sha256", "ascending"), ("view", "ascending")]).column("bottleneck").combine_chunks()
    return np.asarray(numbers.flatten(), np.float32).reshape(len(numbers), -1)


def cosines(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the cosine of each pair of rows, float32 [N]."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: npt.NDArray[np.float32] = (one * other).sum(axis=1) / lengths
    return found


def main(output: Output, source: Source = FLOWERS, backbone: str = "efficientnet_lite0", layers: str = "auto") -> None:
    """Measure each precision that this machine computes in."""
    accuracies: dict[str, list[float]] = {}
    means: dict[str, list[float]] = {}
    lowest: dict[str, list[float]] = {}
    exact = None
    with tempfile.TemporaryDirectory() as root:
        for day, precision in enumerate(usable_precisions(), start=1):
            date = f"2026-01-0{day}"
            options = {"precision": precision, "backbone": backbone, "layers": layers, "export": "none"}
            retrain(source, root, date=date, **options)
            record = read_record(root, date)
            accuracies[precision] = [100 * record["metrics"]["cross_validation"]["accuracy"]]
            found = read_vectors(Path(root, "bottleneck", record["bottleneck"]))
            exact = found if exact is None else exact
            alike = cosines(found, exact)
            means[precision], lowest[precision] = [float(alike.mean())], [float(alike.min())]
    tables = [
        Table(f"{backbone}, layers {layers}: five-fold accuracy", "%", accuracies),
        Table("Mean cosine of a bottleneck to float32's", "", means),
        Table("Lowest cosine", "", lowest),
    ]
    publish("accuracy", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)

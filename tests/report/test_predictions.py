"""What the evaluate stage left, read back."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.errors import StoreError
from tasks.report.predictions import read_predicted
from tests.report.laid_out import SETTINGS, draw_photos, lay_out


def test_photos_and_probabilities_are_those_that_were_evaluated(tmp_path: Path) -> None:
    laid_out = lay_out(tmp_path, draw_photos())
    read = read_predicted(laid_out.root.evaluate(SETTINGS.key("snap")))
    assert (read.photos.sha256, read.photos.paths) == (laid_out.photos.sha256, laid_out.photos.paths)
    assert read.photos.labels == laid_out.photos.labels
    np.testing.assert_array_equal(read.photos.truth, laid_out.photos.truth)
    np.testing.assert_array_equal(read.probabilities, laid_out.probabilities)
    np.testing.assert_array_equal(read.photos.splits.ids, laid_out.photos.splits.ids)
    wrong = laid_out.probabilities.argmax(axis=1) != laid_out.photos.truth
    np.testing.assert_array_equal(read.mistaken, wrong & laid_out.photos.of("test"))


@pytest.mark.parametrize("damage", ["gone", "bytes", "columns", "metadata"])
def test_predictions_that_cannot_be_read_are_named(tmp_path: Path, damage: str) -> None:
    folder = lay_out(tmp_path, draw_photos((10, 10, 10))).root.evaluate(SETTINGS.key("snap"))
    path = folder / "predictions.parquet"
    table = pq.read_table(path)
    if damage == "gone":
        path.unlink()
    elif damage == "bytes":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        pq.write_table(table.drop(["split"]) if damage == "columns" else table.replace_schema_metadata(None), path)
    with pytest.raises(StoreError, match=r"predictions\.parquet cannot be read.*Delete their folder"):
        read_predicted(folder)

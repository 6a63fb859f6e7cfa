"""Photos that are only numbers, and their statistics."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.shards.schemas import PHOTO_STATISTICS
from tests.bottleneck.pictures import key_of

NUMBERS = ("brightness", "sharpness", "saturation", "warmth", "tint")


def make_up(labels: list[str], seed: int = 0, **changes: npt.NDArray[np.floating]) -> tuple[pa.Table, pa.Table]:
    """Return a table of photos with these labels, and statistics that are drawn, with numbers added to some columns."""
    random, count = np.random.default_rng(seed), len(labels)
    keys = [key_of(number) for number in range(count)]
    photos = pa.table({"sha256": keys, "path": [f"{number}.jpg" for number in range(count)], "label": labels})
    columns: dict[str, object] = {"sha256": keys, "width": [320] * count, "height": [240] * count}
    columns["format"] = ["JPEG"] * count
    for name in NUMBERS:
        columns[name] = (0.5 + 0.1 * random.normal(size=count) + changes.get(name, 0.0)).astype(np.float32)
    vectors = random.normal(size=(count, 64)) + changes.get("vector", np.zeros((1, 1)))
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).reshape(-1)), 64)
    return photos, pa.table(columns).select(PHOTO_STATISTICS.names).cast(PHOTO_STATISTICS)

"""Statistics of single photos, computed once a photo and kept for later runs."""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from tasks.bottleneck.settings import BottleneckSettings
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.decode.photos import open_stores
from tasks.drift.settings import DriftSettings
from tasks.drift.spec import DRIFT, STATISTICS_FILE
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.key_index import KeyIndex
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.schemas import PHOTO_STATISTICS, describe
from tasks.storage.layout import DataRoot

#: Numbers of a projected vector.
PROJECTED = 64
# Every fourth pixel in both directions: the averages of colours need no more.
_STEP = 4


class PictureStatistics(NamedTuple):
    """Statistics of a decoded picture, whose channels have the range from 0 to 1 here."""

    brightness: float  #: Mean luma (ITU-R BT.601).
    #: Root mean square of the luma's Laplacian, by the luma's standard deviation, which contrast changes too; after
    #: the variance of the Laplacian of Pech-Pacheco et al. 2000, https://doi.org/10.1109/ICPR.2000.903548.
    sharpness: float
    saturation: float  #: Mean of the largest channel minus the smallest; 0 for grey pictures.
    warmth: float  #: Mean of red minus blue.
    tint: float  #: Mean of green minus the mean of red and blue: positive for a green cast, negative for magenta.


@dataclass(frozen=True)
class StatisticsStore:
    """The statistics of a dataset's photos, for one way to decode and to embed them."""

    root: DataRoot  #: The data root.
    dataset: str  #: Name of the dataset.
    settings: DriftSettings  #: The pictures and vectors.

    @property
    def schema(self) -> pa.Schema:
        """`PHOTO_STATISTICS`, without vectors where there are none."""
        columns = PHOTO_STATISTICS
        if self.settings.bottleneck is None:
            columns = columns.remove(columns.get_field_index("vector"))
        return describe(columns, DRIFT.name, self.settings.statistics_key, asdict(self.settings))

    @property
    def _path(self) -> AnyPath:
        return self.root.below(DRIFT.name, self.dataset, STATISTICS_FILE)

    def update(self, keys: pa.Array, progress: Progress) -> tuple[pa.Table, int]:
        """Compute the statistics that are missing, and keep those of these photos alone.

        Returns:
            One row a photo that has a picture and a vector, in any order; and how many rows were computed.

        Raises:
            StoreError: A shard of pictures or vectors is damaged.
        """
        known = self._read().filter(pc.field("sha256").isin(keys))
        missing = keys.filter(pc.invert(pc.is_in(keys, known["sha256"].combine_chunks())))
        new = self._compute(missing, progress) if len(missing) else self.schema.empty_table()
        table = pa.concat_tables([known, new])
        if new.num_rows:
            publish_parquet(self._path, table)
        return table, new.num_rows

    def _read(self) -> pa.Table:
        """The statistics that are kept; they only save work, so that a damaged file or one of others is replaced."""
        try:
            table = read_parquet(self._path)
        except (pa.ArrowException, OSError):
            return self.schema.empty_table()
        known = table.schema.equals(self.schema) and table.schema.metadata == self.schema.metadata
        return table.cast(self.schema) if known else self.schema.empty_table()

    def _compute(self, keys: pa.Array, progress: Progress) -> pa.Table:
        progress.start(len(keys), "photos")
        decoded = open_stores(self.root, self.settings.decode).decoded
        columns = ["sha256", "image", "width", "height", "format"]
        tables = []
        for table in map_ordered(_measure_rows, decoded.rows(keys, columns), available_cores()):
            tables.append(table)
            progress.advance(table.num_rows)
        plain = self.schema.remove(self.schema.get_field_index("vector")) if self.settings.bottleneck else self.schema
        measured = pa.concat_tables([plain.empty_table(), *(table.cast(plain) for table in tables)])
        return self._add_vectors(measured, self.settings.bottleneck) if self.settings.bottleneck else measured

    def _add_vectors(self, measured: pa.Table, bottleneck: BottleneckSettings) -> pa.Table:
        """Add the projected bottlenecks of plain views, without the photos that have none."""
        keys, width = measured["sha256"].combine_chunks(), bottleneck.backbone.width
        vectors, found = np.zeros((len(keys), PROJECTED), np.float32), np.zeros(len(keys), bool)
        index, signs = KeyIndex(keys), projection(width)
        for rows in bottleneck.store(self.root).rows(keys, ["sha256", "view", "bottleneck"]):
            plain = rows.filter(pc.equal(rows["view"], 0))
            numbers = np.asarray(plain["bottleneck"].combine_chunks().flatten()).reshape(-1, width)
            places = index.places(plain["sha256"])
            vectors[places], found[places] = numbers.astype(np.float32) @ signs, True
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), PROJECTED)
        table = measured.append_column("vector", column.cast(self.schema.field("vector").type))
        return table.filter(pa.array(found)).cast(self.schema)


def projection(width: int) -> npt.NDArray[np.float32]:
    """Random signs, float32 [width, 64], the same for ever: a projection keeps distances roughly.

    See Achlioptas 2003, https://doi.org/10.1016/S0022-0000(03)00025-4. The stored numbers depend on them, so that they
    come from numpy's generator whose stream never changes.
    """
    signs = np.random.RandomState(0).randint(0, 2, size=(width, PROJECTED)) * 2 - 1
    return signs.astype(np.float32) / np.float32(np.sqrt(width))


def measure_picture(pixels: npt.NDArray[np.uint8]) -> PictureStatistics:
    """Measure a picture, uint8 [H, W, 3], RGB, range 0-255."""
    luma = np.asarray(Image.fromarray(pixels).convert("L")).astype(np.int16)
    laplacian = 4 * luma[1:-1, 1:-1] - luma[:-2, 1:-1] - luma[2:, 1:-1] - luma[1:-1, :-2] - luma[1:-1, 2:]
    # Not a product of vectors, for which BLAS would start threads beside those that measure.
    edges = np.sqrt(np.square(laplacian, dtype=np.float32).mean())
    red, green, blue = np.moveaxis(pixels[::_STEP, ::_STEP], -1, 0)
    range_ = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    # One level is added, so that rounding in a picture of one colour is not sharp.
    sharpness = edges / (luma.astype(np.float32).std() + 1)
    return PictureStatistics(
        brightness=float(luma.mean()) / 255,
        sharpness=float(sharpness),
        saturation=float(range_.mean()) / 255,
        warmth=float(red.mean() - blue.mean()) / 255,
        tint=float(green.mean() - (red.mean() + blue.mean()) / 2) / 255,
    )


def _measure_rows(rows: pa.Table) -> pa.Table:
    images = rows["image"].combine_chunks().field("bytes")
    measured = np.array([measure_picture(read_pixels(image.as_py())) for image in images], np.float32)
    table = rows.select(["sha256", "width", "height", "format"])
    for name, column in zip(PictureStatistics._fields, measured.T, strict=True):
        table = table.append_column(name, pa.array(column))
    return table

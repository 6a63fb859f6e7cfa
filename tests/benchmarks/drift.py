"""Alarms of the drift stage: shares of resampled runs, without drift and with drift, that have one.

The photos of the newest run of a data root are compared by the functions of the stage: some of them, drawn at random,
are the new ones. Without drift they are as they are, drawn from all photos or from each label in its proportion. With
drift their files are blurred, turned grey or given a colour cast, decoded and embedded as a run would; or one label has
twice its share.
"""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import typer
from PIL import Image, ImageFilter

from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.quantisation import quantise
from tasks.decode.images import decode_photo, read_pixels
from tasks.drift.comparison import MOST_PHOTOS, choose_sample, compare_photos
from tasks.drift.photo_statistics import StatisticsStore, measure_picture, projection
from tasks.drift.result import DriftResult
from tasks.drift.settings import DriftSettings
from tasks.errors import StoreError
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.runs.records import RunRecord, read_history, recorded_datasets
from tasks.settings import settings_from
from tasks.shards.manifests import read_manifest
from tasks.snapshot.photos import read_snapshot, usable
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings
from tests.benchmarks.measure import Output, align, run_command, time_call, write_json

Drawn = npt.NDArray[np.int64]


def encode_anew(photo: Image.Image) -> Image.Image:
    """Change nothing: the photo is a JPEG of another quality, which is no drift worth an alarm."""
    return photo


def blur(photo: Image.Image) -> Image.Image:
    """Blur by one two-hundred-and-fiftieth of the longer side: 2 pixels of 500."""
    return photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 250))


def grey(photo: Image.Image) -> Image.Image:
    return photo.convert("L").convert("RGB")


def cast(photo: Image.Image) -> Image.Image:
    """Give red an eighth more and blue an eighth less, as the light of a warmer lamp does."""
    gains = [gain for gain in (1.125, 1, 0.875) for _ in range(256)]
    return photo.point([min(255, round(gain * level)) for gain, level in zip(gains, [*range(256)] * 3, strict=True)])


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded anew": encode_anew,
    "blur": blur,
    "grey": grey,
    "cast": cast,
}


class Case(NamedTuple):
    """The photos of a run and their statistics."""

    root: DataRoot[Path]
    run: RunRecord
    settings: DriftSettings
    photos: pa.Table  #: sha256, path and label of N photos that have statistics.
    statistics: pa.Table  #: Their statistics, in the same order.

    @classmethod
    def read(cls, root: DataRoot[Path]) -> "Case":
        """Read the newest run of a data root."""
        run = max(
            (run for name in recorded_datasets(root) for run in read_history(root, name).runs),
            key=lambda run: run.finished,
        )
        train = settings_from(TrainSettings, read_manifest(root.train(run.model) / "manifest.json").settings)
        settings, photos = DriftSettings.of(train), usable(read_snapshot(root, run.snapshot))
        keys = choose_sample(photos["sha256"], 2 * MOST_PHOTOS)
        statistics, _ = StatisticsStore(root, run.dataset, settings).update(keys, NullProgress())
        photos = photos.filter(pc.is_in(photos["sha256"], statistics["sha256"].combine_chunks()))
        places = pc.index_in(photos["sha256"], statistics["sha256"].combine_chunks())
        return cls(root, run, settings, photos, statistics.take(places.combine_chunks()))

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Index of each photo's label: int64 [N]."""
        return np.asarray(self.photos["label"].combine_chunks().dictionary_encode().indices).astype(np.int64)

    def compare(self, new: Drawn, changed: pa.Table | None = None) -> DriftResult:
        """Compare some photos with the others; `changed` has other statistics of them, in their order."""
        is_new = np.zeros(len(self.photos), bool)
        is_new[new] = True
        own = self.statistics.take(pa.array(new)) if changed is None else changed
        return compare_photos(self.photos, is_new, pa.concat_tables([self.statistics.filter(pa.array(~is_new)), own]))


def draw(case: Case, count: int, random: np.random.Generator, *, by_label: bool) -> Drawn:
    """Draw new photos from all photos, or from each label in its proportion."""
    everything = np.arange(len(case.photos))
    if not by_label:
        return random.choice(everything, count, replace=False)
    labels = case.labels
    own = [everything[labels == label] for label in range(labels.max() + 1)]
    return np.concatenate([random.choice(each, round(count * len(each) / len(labels)), replace=False) for each in own])


def draw_doubled(case: Case, count: int, random: np.random.Generator) -> Drawn:
    """Draw new photos of which one label, itself drawn, has twice its share."""
    labels = case.labels
    shares = np.bincount(labels) / len(labels)
    label = random.integers(len(shares))
    rest = (1 - 2 * shares[label]) / (1 - shares[label])
    counts = np.round(count * np.where(np.arange(len(shares)) == label, 2 * shares, rest * shares)).astype(int)
    return np.concatenate(
        [random.choice(np.flatnonzero(labels == own), n, replace=False) for own, n in enumerate(counts)]
    )


def change_photos(case: Case, places: Drawn, change: Callable[[Image.Image], Image.Image]) -> pa.Table:
    """Change the files of photos, and measure these as the stages do: columns of their statistics, in this order."""
    settings, rows = case.settings.bottleneck, case.photos.take(pa.array(places)).to_pylist()
    assert settings is not None
    weights = read_manifest(next(case.root.below("backbone", settings.backbone.name).glob("*.json"))).details["weights"]
    forward = open_forward(settings, to_path(weights), case.root.bottleneck(settings.key), NullProgress())
    pictures = []
    for row in rows:
        buffer = io.BytesIO()
        change(Image.open(Path(case.run.location) / row["path"]).convert("RGB")).save(buffer, "JPEG", quality=90)
        pictures.append(decode_photo(buffer.getvalue(), settings.decode))
    pixels = [read_pixels(picture.image) for picture in pictures]
    batches = [
        np.stack(pixels[start : start + forward.batch_size]) for start in range(0, len(pixels), forward.batch_size)
    ]
    numbers = quantise(
        np.concatenate([forward(batch) for batch in batches]), settings.quantisation, [row["path"] for row in rows]
    )
    vectors = numbers.astype(np.float32) @ projection(numbers.shape[1])
    measured = [measure_picture(each)._asdict() for each in pixels]
    return pa.Table.from_pylist(
        [
            {
                "sha256": row["sha256"],
                "width": picture.width,
                "height": picture.height,
                "format": picture.format,
                **figures,
                "vector": vector,
            }
            for row, picture, figures, vector in zip(rows, pictures, measured, vectors.tolist(), strict=True)
        ],
        case.statistics.schema,
    )


def without_drift(case: Case, count: int, runs: int, *, by_label: bool) -> float:
    """Share of runs without drift that have an alarm."""
    random = np.random.default_rng(1)
    alarms = [bool(case.compare(draw(case, count, random, by_label=by_label)).changes) for _ in range(runs)]
    return float(np.mean(alarms))


def with_drift(case: Case, kind: str, counts: list[int], runs: int) -> Iterator[tuple[str, float]]:
    """Share of runs with a kind of drift that have an alarm, for each number of new photos."""
    random = np.random.default_rng(2)
    pool = random.permutation(len(case.photos))[: 2 * max(counts)]
    changed = change_photos(case, pool, KINDS[kind]) if kind in KINDS else None
    for count in counts:
        alarms = []
        for _ in range(runs):
            if changed is None:
                result = case.compare(draw_doubled(case, count, random))
            else:
                chosen = random.choice(len(pool), count, replace=False)
                result = case.compare(pool[chosen], changed.take(pa.array(chosen)))
            alarms.append(bool(result.changes))
        typer.echo(f"{count} photos, {kind}: {'; '.join(map(str, result.changes))}")
        yield f"{kind}, {count} new photos", float(np.mean(alarms))


def main(
    output: Output,
    root: Annotated[Path, typer.Argument(help="Data root with a finished run of a folder of photos.")],
    runs: Annotated[int, typer.Option(help="Resampled runs of each kind.")] = 200,
) -> None:
    """Measure false alarms, then detections, on the newest run of a data root, which gets the photos' statistics."""
    case = Case.read(DataRoot(root))
    counts = [20, 50, 200]
    if len(case.photos) < 2 * max(counts):
        raise StoreError(f"{root} has {len(case.photos)} photos, too few to draw {max(counts)} new ones.")
    figures: dict[str, float] = {}
    for count in counts:
        for how in ("at random", "by label"):
            alarms = without_drift(case, count, runs, by_label=how == "by label")
            figures[f"no drift, {count} new photos drawn {how}"] = alarms
    for kind in (*KINDS, "label doubled"):
        figures |= with_drift(case, kind, counts, runs)
    random = np.random.default_rng(3)
    for count in counts:
        new = draw(case, count, random, by_label=False)
        figures[f"seconds of a comparison, {count} new photos"] = median(
            time_call(partial(case.compare, new)) for _ in range(5)
        )
    typer.echo(align([[name, figure] for name, figure in figures.items()]))
    write_json("drift", output, runs=runs, photos=len(case.photos), figures=figures)


if __name__ == "__main__":
    run_command(main, __doc__)

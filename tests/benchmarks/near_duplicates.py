"""Recall of injected near duplicates, pairs for the eye, and cost of the search by the number of photos.

Copies of each kind are added to a folder of photos, one kind at a time; a copy is found if its group has its original.
The sheet shows the least similar of the pairs that are found with one copy of each chosen photo: count the false ones.
The cost is that of made-up bottlenecks in a store, each number of photos in a fresh process.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image, ImageEnhance, ImageOps
from PIL.Image import Resampling

from tasks.evaluate.near_duplicates import NearDuplicates, find_near_duplicates
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tasks.train.photos import EmbeddedPhotos, load_photos
from tests.benchmarks.layers import embed
from tests.benchmarks.made_up import SNAPSHOT_KEY, head_settings, publish_bottlenecks
from tests.benchmarks.measure import (
    FLOWERS,
    Output,
    Source,
    align,
    in_fresh_process,
    read_memory,
    reset_peak_memory,
    run_command,
    time_call,
    write_json,
)
from tests.benchmarks.runs import choose_photos

#: Kinds of copies: the changed picture, saved as a JPEG file of this quality.
KINDS: Mapping[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "half size": (lambda picture: picture.resize((picture.width // 2, picture.height // 2), Resampling.LANCZOS), 90),
    "JPEG quality 50": (lambda picture: picture, 50),
    "JPEG quality 20": (lambda picture: picture, 20),
    "10 % cropped": (lambda picture: ImageOps.crop(picture, round(0.05 * min(picture.size))), 90),
    "mirrored": (ImageOps.mirror, 90),
    "30 % brighter": (lambda picture: ImageEnhance.Brightness(picture).enhance(1.3), 90),
    "rotated by 3 degrees": (lambda picture: picture.rotate(3, Resampling.BICUBIC), 90),
    "grey": (ImageOps.grayscale, 90),
    "half size, JPEG quality 50": (
        lambda picture: picture.resize((picture.width // 2, picture.height // 2), Resampling.LANCZOS),
        50,
    ),
}
_MARK, _PAIRS, _ACROSS, _TILE = " copy ", 200, 8, 110


def inject(source: Path, copies: int, dataset: Path) -> None:
    """Link the photos of a folder, and add a copy of each kind of some of them."""
    chosen = set(choose_photos(source, copies))
    for photo in choose_photos(source, 0):
        target = dataset / photo.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(photo.resolve())
        if photo in chosen:
            with Image.open(photo) as file:
                upright = ImageOps.exif_transpose(file).convert("RGB")
            for number, (change, quality) in enumerate(KINDS.values()):
                change(upright).save(target.with_name(f"{photo.stem}{_MARK}{number}.jpg"), quality=quality)


def filter_photos(photos: EmbeddedPhotos, kept: npt.NDArray[np.bool_]) -> EmbeddedPhotos:
    places = np.flatnonzero(kept)
    splits = replace(photos.splits, tenths=photos.splits.tenths[kept], ids=photos.splits.ids[kept])
    return EmbeddedPhotos(
        [photos.sha256[place] for place in places],
        [photos.paths[place] for place in places],
        photos.labels,
        photos.truth[kept],
        splits,
        photos.features.filter(kept),
    )


def measure_recall(photos: EmbeddedPhotos, found: NearDuplicates) -> float:
    """Share of the copies that are in the group of their original."""
    group: dict[str, int] = dict(zip(photos.paths, found.group.tolist(), strict=True))
    # A photo that lies under two labels has copies, but is no photo of the dataset.
    pairs = [(own, group.get(f"{path.split(_MARK)[0]}.jpg")) for path, own in group.items() if _MARK in path]
    hits = [own >= 0 and own == original for own, original in pairs if original is not None]
    return sum(hits) / len(hits)


def draw_sheet(photos: EmbeddedPhotos, found: NearDuplicates, dataset: Path, sheet: Path) -> int:
    """Draw the least similar pairs of a photo and another one of its group; returns their number."""
    order = np.lexsort((-found.similarity, found.group))
    order = order[found.group[order] >= 0]
    second = np.flatnonzero(np.diff(found.group[order]) == 0) + 1
    second = second[np.argsort(found.similarity[order[second]], kind="stable")][:_PAIRS]
    page = Image.new("RGB", (_ACROSS * (2 * _TILE + 6), (_TILE + 6) * -(-len(second) // _ACROSS)), "white")
    for number, place in enumerate(second):
        row, column = divmod(number, _ACROSS)
        for side, photo in enumerate(order[[place - 1, place]]):
            with Image.open(dataset / photos.paths[photo]) as file:
                tile = ImageOps.fit(ImageOps.exif_transpose(file).convert("RGB"), (_TILE, _TILE))
            page.paste(tile, (column * (2 * _TILE + 6) + side * _TILE, row * (_TILE + 6)))
    page.save(sheet)
    return len(second)


def search_made_up(place: Path, count: int) -> tuple[float, float, float]:
    """Read and search made-up bottlenecks; returns seconds, core seconds and peak memory in MB."""
    root, settings = DataRoot(place), head_settings(4256, views=2)
    photos = load_photos(SNAPSHOT_KEY, [publish_bottlenecks(root, count, settings)], settings, root)
    reset_peak_memory()
    memory, cores = read_memory("VmRSS"), time.process_time()
    seconds = time_call(lambda: find_near_duplicates(photos, NullProgress()))
    return seconds, time.process_time() - cores, read_memory("VmHWM") - memory


def main(
    output: Output,
    source: Source = FLOWERS,
    copies: int = 400,
    growth: tuple[int, int, int] = (2_000, 20_000, 100_000),
) -> None:
    """Measure recall and cost, and draw the sheet; copies of 0 measure the cost alone."""
    output.mkdir(parents=True, exist_ok=True)
    recall, pairs = {}, 0
    if copies:
        with tempfile.TemporaryDirectory() as folder:
            dataset = Path(folder) / "photos"
            inject(source, copies, dataset)
            photos = embed(str(dataset), DataRoot(Path(folder) / "data"))
            kinds = np.array([int(path[-5]) if _MARK in path else -1 for path in photos.paths])
            for number, kind in enumerate(KINDS):
                some = filter_photos(photos, (kinds == -1) | (kinds == number))
                recall[kind] = measure_recall(some, find_near_duplicates(some, NullProgress()))
            turns = np.cumsum(kinds == 0) % len(KINDS)
            mixed = filter_photos(photos, (kinds == -1) | ((kinds == turns) & (kinds >= 0)))
            pairs = draw_sheet(
                mixed, find_near_duplicates(mixed, NullProgress()), dataset, output / "near_duplicates.png"
            )
        typer.echo(align([["", "recall"], *([kind, f"{share:.1%}"] for kind, share in recall.items())]), nl=False)
        typer.echo(f"{pairs} pairs are in {output / 'near_duplicates.png'}")
    rows: list[list[str | float]] = [["", "s", "core s", "MB"]]
    for count in growth:
        with tempfile.TemporaryDirectory() as folder:
            rows.append([f"{count:,} photos", *in_fresh_process(search_made_up, Path(folder), count)])
    typer.echo(f"\n{align(rows)}", nl=False)
    write_json("near_duplicates", output, recall=recall, pairs=pairs, growth=rows[1:])


if __name__ == "__main__":
    run_command(main, __doc__)

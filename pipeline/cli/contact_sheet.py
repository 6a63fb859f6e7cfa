"""Draws contact sheets: decoded photos side by side, by label."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.cli.parquet_files import Tables
from pipeline.cli.photo_labels import data_root_of, read_labels
from tasks.errors import StoreError
from tasks.events import escape_control_characters
from tasks.paths import AnyPath
from tasks.shards.compaction import open_store
from tasks.shards.schemas import DECODE
from tasks.shards.store import ShardStore
from tasks.storage.files import listed, publish_bytes
from tasks.storage.layout import DataRoot

#: In pixels: side of a picture, gap between pictures, margin of the sheet, height of a heading and of its letters.
PICTURE, GAP, MARGIN, HEADING, LETTERS = 144, 4, 20, 40, 18
#: A sheet of more labels would be a picture that few programs open.
MOST_LABELS = 100
_INK, _PALE, _PAPER = "#1a1a1a", "#707070", "#ffffff"


@dataclass(frozen=True, eq=False)
class Strip:
    """The photos of a label on the sheet."""

    label: str
    photos: int  #: Number of all its photos.
    pictures: Sequence[bytes]  #: JPEG or PNG files of a few of them.


def choose_strips(path: AnyPath, tables: Tables, per_label: int, snapshot: str | None) -> list[Strip]:
    """Choose the photos of a sheet: of each label those with the smallest sha256, which is a random choice.

    Args:
        path: A file or store.
        tables: The opened file or store.
        per_label: Maximum number of photos of each label.
        snapshot: Key of the snapshot that has the labels; None is the newest one that names any of the photos.

    Raises:
        StoreError: The labels are not known, or there are no pictures of the photos.
    """
    from tasks.decode.photos import read_pictures

    root = data_root_of(path)
    if root is None or "sha256" not in tables.schema.names:
        raise StoreError(f"{path} holds no photos of a data root, so there is nothing to draw.")
    found = read_labels(root, pc.unique(tables.column("sha256")), snapshot)
    if found is None:
        raise StoreError(f"No snapshot in {root.path} names photos of {path}, so their labels are not known.")
    _, labels = found
    keys = pa.array(sorted(labels), pa.string())
    store = _pictures_of(root, path, keys)
    by_label: dict[str, list[str]] = {}
    for key in keys.filter(pa.array(store.found(keys))).to_pylist():
        by_label.setdefault(labels[key], []).append(key)
    pictures = read_pictures(store, [key for own in by_label.values() for key in own[:per_label]])
    return [
        Strip(label, len(own), [pictures[key] for key in own[:per_label]]) for label, own in sorted(by_label.items())
    ]


def _pictures_of(root: DataRoot, path: AnyPath, keys: pa.Array) -> ShardStore:
    """The decoded store at a path, else the one of the data root that has most of the photos."""
    from tasks.decode.photos import ROWS_PER_GROUP

    folders = [folder for folder in listed(root.below("decode")) if listed(folder, "part-*.parquet")]
    own = path.absolute().parent if path.suffix == ".parquet" else path.absolute()
    if own in folders:
        folders = [own]
    stores = [open_store(folder, {"decode": ROWS_PER_GROUP}) for folder in folders]
    counts = [int(store.found(keys).sum()) if store.schema.equals(DECODE) else 0 for store in stores]
    if not any(counts):
        raise StoreError(f"There are no decoded pictures of {path} in {root.path}. A run makes them.")
    return stores[counts.index(max(counts))]


def draw_sheet(strips: Sequence[Strip], target: Path) -> int:
    """Draw a contact sheet of the first hundred labels and publish it as a PNG; returns the number of its labels.

    Raises:
        StoreError: The file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = strips[:MOST_LABELS]
    across = max(*(len(strip.pictures) for strip in shown), 3)
    size = (2 * MARGIN + across * (PICTURE + GAP) - GAP, 2 * MARGIN + len(shown) * (HEADING + PICTURE) - GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for line, strip in enumerate(shown):
        top = MARGIN + line * (HEADING + PICTURE)
        words = escape_control_characters(strip.label)
        pen.text((MARGIN, top + HEADING / 2), words, _INK, font, anchor="lm")
        at = (MARGIN + pen.textlength(words, font) + LETTERS, top + HEADING / 2)
        pen.text(at, f"{strip.photos:,} photos", _PALE, font, anchor="lm")
        for place, data in enumerate(strip.pictures):
            with Image.open(io.BytesIO(data)) as picture:
                small = picture.convert("RGB").resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)
            sheet.paste(small, (MARGIN + place * (PICTURE + GAP), top + HEADING))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    try:
        publish_bytes(target, buffer.getvalue())
    except OSError as exc:
        raise StoreError(f"{target} cannot be written ({exc.strerror}). Give another place.") from exc
    return len(shown)

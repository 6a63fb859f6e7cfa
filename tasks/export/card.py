"""The model card: what the exports are, how to use them, and what to expect of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unicodedata import category

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.backbone.backbones import Backbone
from tasks.catalog import Dataset, backbone_names, find_backbone
from tasks.concurrency import map_ordered
from tasks.evaluate.metrics import wilson_interval
from tasks.evaluate.predictions import read_predictions
from tasks.export.formats import FORMS, Export
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.shards.manifests import find_manifest, read_manifest
from tasks.snapshot.splits import SPLITS
from tasks.storage.files import listed, read_json
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

CARD = "README.md"
#: Files that are read at once: on an object store each waits for its answer.
_READ_AT_ONCE = 16
_SOFTWARE = ("tensorflow", "keras", "ai-edge-litert", "pillow", "numpy")


def write_labels(labels: tuple[str, ...], path: Path) -> None:
    """Write labels, one a line, so that Python's `splitlines` and every other reader of lines find as many."""
    path.write_text("".join(f"{_one_line(label)}\n" for label in labels), encoding="utf-8", newline="\n")


def write_card(model: Model, export: Export, evaluation: AnyPath, root: DataRoot, path: Path) -> None:
    """Write the card of a model.

    Args:
        model: The model.
        export: What was exported.
        evaluation: Folder of the model's evaluation.
        root: Where everything is.
        path: Where to.
    """
    metrics = read_json(evaluation / "metrics.json")
    head, (backbone,) = isinstance(model.settings, TrainSettings), model.settings.backbones
    environment = Environment(
        loader=PackageLoader("tasks.export", "."),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (Markdown; what comes from outside goes through `cell`)
    )
    environment.filters.update(cell=in_cell, percent=_percent, interval=_interval, thousands=lambda count: f"{count:,}")
    text = environment.get_template("card.md.j2").render(
        model=model,
        head=head,
        views=len(model.settings.predicting_views) if isinstance(model.settings, TrainSettings) else 1,
        backbone=backbone,
        backbone_licence=backbone_licence(backbone),
        dataset=dataset_of(model.snapshot, root),
        photos=_count_photos(evaluation),
        export=export,
        takes={form.name: form.takes for form in FORMS},
        escaped=any(_one_line(label) != label for label in model.labels),
        test=metrics["test"],
        crossed=metrics["cross_validation"],
        intervals=dict(_intervals(metrics["test"]["per_label"])),
        facts=_facts(model),
        software=", ".join(f"{name} {version(name)}" for name in _SOFTWARE),
        settings=json.dumps(asdict(model.settings), indent=2, ensure_ascii=False),
    )
    path.write_text(text, encoding="utf-8")


def _one_line(label: str) -> str:
    """A label with escapes where it would not be one line, would tell a terminal what to do, or would look escaped."""
    odd = {sign for sign in label if sign == "\\" or category(sign) == "Cc" or len(f"{sign}x".splitlines()) > 1}
    return "".join(sign.encode("unicode_escape").decode() if sign in odd else sign for sign in label)


def in_cell(text: str) -> str:
    """Text that stays what it is in a cell of Markdown."""
    line = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|~&" else sign for sign in line)


def _percent(share: float | None, digits: int = 1) -> str:
    return "none" if share is None else f"{100 * share:.{digits}f} %"


def _interval(bounds: Mapping[str, float] | None) -> str:
    return "none" if bounds is None else f"{100 * bounds['low']:.1f} to {100 * bounds['high']:.1f} %"


def _intervals(labels: list[dict[str, Any]]) -> Iterator[tuple[str, Mapping[str, float] | None]]:
    """The interval of each label's recall."""
    for entry in labels:
        photos = entry["photos"]
        yield entry["label"], wilson_interval(entry["correct"], photos)._asdict() if photos else None


def _count_photos(evaluation: AnyPath) -> dict[str, dict[str, int]]:
    """How many photos of each label are in each split."""
    table = read_predictions(evaluation, ["label", "split"])
    counts = table.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist()
    photos = {label: dict.fromkeys(SPLITS, 0) for label in sorted({row["label"] for row in counts})}
    for row in counts:
        photos[row["label"]][row["split"]] = row["count_all"]
    return photos


def _facts(model: Model) -> dict[str, int]:
    manifest = read_manifest(model.folder / "manifest.json")
    return {"train_photos": manifest.photos, "validation_photos": manifest.details["validation_photos"]}


def dataset_of(snapshot: str, root: DataRoot) -> Dataset:
    """The dataset that a snapshot was taken of; of several with the same photos, the last one by name."""
    folders = [path for path in listed(root.below("snapshot")) if path.suffix != ".parquet"]
    pointers = (path for folder in reversed(folders) for path in reversed(listed(folder, "*.json")))
    for manifest in map_ordered(find_manifest, pointers, _READ_AT_ONCE):
        if manifest is not None and manifest.key == snapshot:
            return Dataset(**manifest.settings)
    return Dataset("a folder of photos", "folder", "")


def backbone_licence(backbone: Backbone) -> str:
    """The licence that the catalog knows for these very weights."""
    if backbone.name in backbone_names():
        entry = find_backbone(backbone.name)
        if entry.sha256 in {None, backbone.weights_sha256}:
            return entry.licence
    return "not known to this project's catalog; see where they are from"

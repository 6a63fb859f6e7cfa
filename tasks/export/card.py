"""The model card: the exported files, their use, and their figures."""

import json
from collections.abc import Mapping
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
from tasks.export.formats import FORMATS, Export, input_names
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.runs.records import distinct_accuracy
from tasks.shards.manifests import Manifest, find_manifest, read_manifest
from tasks.snapshot.split_facts import describe_folds, describe_splits
from tasks.snapshot.splits import SPLITS
from tasks.storage.files import listed, read_json
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

#: Files read at once: on an object store, each read waits for the answer of the store.
_READ_AT_ONCE = 16
_SOFTWARE = ("tensorflow", "keras", "ai-edge-litert", "openvino", "pillow", "numpy")


def write_labels(labels: tuple[str, ...], path: Path) -> None:
    """Write one label a line, for every program that reads lines and for Python's `splitlines`."""
    path.write_text("".join(f"{_escape_line(label)}\n" for label in labels), encoding="utf-8", newline="\n")


def write_card(model: Model, export: Export, evaluation: AnyPath, root: DataRoot, path: Path) -> None:
    """Write the card of a model."""
    metrics = read_json(evaluation / "metrics.json")
    test, distinct = metrics["test"], metrics.get("test_without_near_duplicates")
    head, training = isinstance(model.settings, TrainSettings), read_manifest(model.folder / "manifest.json")
    text = (
        _environment()
        .get_template("card.md.j2")
        .render(
            model=model,
            head=head,
            views=len(model.settings.predicting_views) if isinstance(model.settings, TrainSettings) else 1,
            backbones=model.settings.backbones,
            names=" + ".join(backbone.name for backbone in model.settings.backbones),
            inputs=list(zip(input_names(len(model.decodes)), model.decodes, strict=True)),
            temperature=training.details.get("temperature"),
            dataset=dataset_of(model.snapshot, root),
            given=_given_splits(model.snapshot, root),
            photos=_count_photos(evaluation),
            export=export,
            tested_with=export.tested_with or model.key,
            formats={each.name: each.description for each in FORMATS},
            escaped=any(_escape_line(label) != label for label in model.labels),
            test=test,
            folds=describe_folds(crossed) if (crossed := metrics["cross_validation"]) else "",
            crossed=crossed,
            distinct=distinct if distinct_accuracy(test, distinct) is not None else None,
            training=training,
            software=", ".join(f"{name} {version(name)}" for name in _SOFTWARE),
            settings=json.dumps(asdict(model.settings), indent=2, ensure_ascii=False),
        )
    )
    path.write_text(text, encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tasks.export", "."),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (Markdown; text from outside goes through `cell`)
    )
    environment.filters.update(
        cell=escape_cell,
        licence=backbone_licence,
        percent=_percent,
        interval=_interval,
        recall_interval=_recall_interval,
        thousands="{:,}".format,
    )
    return environment


def _escape_line(label: str) -> str:
    """Escape backslashes, ends of lines and control characters, as Python does."""
    special = {char for char in label if char == "\\" or category(char) == "Cc" or len(f"{char}x".splitlines()) > 1}
    return "".join(char.encode("unicode_escape").decode() if char in special else char for char in label)


def escape_cell(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|~&" else char for char in line)


def _percent(share: float | None, digits: int = 1) -> str:
    return "none" if share is None else f"{100 * share:.{digits}f} %"


def _interval(bounds: Mapping[str, float] | None) -> str:
    return "none" if bounds is None else f"{100 * bounds['low']:.1f} to {100 * bounds['high']:.1f} %"


def _recall_interval(label: Mapping[str, Any]) -> str:
    photos = label["photos"]
    return _interval(wilson_interval(label["correct"], photos)._asdict() if photos else None)


def _count_photos(evaluation: AnyPath) -> dict[str, dict[str, int]]:
    """Count the photos of each label in each split."""
    table = read_predictions(evaluation, ["label", "split"])
    counts = table.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist()
    photos = {label: dict.fromkeys(SPLITS, 0) for label in sorted({row["label"] for row in counts})}
    for row in counts:
        photos[row["label"]][row["split"]] = row["count_all"]
    return photos


def dataset_of(snapshot: str, root: DataRoot) -> Dataset:
    """Return the dataset of a snapshot; the last one by name, if several have the same photos."""
    manifest = _find_snapshot(snapshot, root)
    return Dataset(**manifest.settings) if manifest else Dataset("a folder of photos", "folder", "")


def _given_splits(snapshot: str, root: DataRoot) -> str:
    """Describe the splits that the dataset of a snapshot gives; empty if they are drawn."""
    manifest = _find_snapshot(snapshot, root)
    given = manifest.details.get("given_splits") if manifest else None
    return describe_splits(given) if given else ""


def _find_snapshot(snapshot: str, root: DataRoot) -> Manifest | None:
    folders = [path for path in listed(root.below("snapshot")) if path.suffix != ".parquet"]
    pointers = (path for folder in reversed(folders) for path in reversed(listed(folder, "*.json")))
    for manifest in map_ordered(find_manifest, pointers, _READ_AT_ONCE):
        if manifest is not None and manifest.key == snapshot:
            return manifest
    return None


def backbone_licence(backbone: Backbone) -> str:
    """Return the licence that the catalog has for these weights."""
    if backbone.name in backbone_names():
        entry = find_backbone(backbone.name)
        if entry.sha256 in {None, backbone.weights_sha256}:
            return entry.licence
    return "not known to this project's catalog; see where they are from"

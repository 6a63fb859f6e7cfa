"""Champions with an export, made without a network."""

import json
from dataclasses import replace
from hashlib import sha256

from tasks.export.formats import CARD, LABELS, METRICS
from tasks.paths import AnyPath
from tasks.storage.files import (
    is_there,
    listed,
    publish_bytes,
    publish_folder,
    publish_json,
    read_bytes,
    storage_at,
)
from tasks.storage.layout import DataRoot
from tests.bottleneck.pictures import manifest_of
from tests.champion.test_task import GOOD, prepare
from tests.support.data_root import DATASET, DAY, keep, record

PUBLISHED = (CARD, LABELS, METRICS)
#: Files of an export that older versions keep, and others.
LASTING = ("saved_model.pb", "variables/variables.index", "model.xml", *PUBLISHED)
BIG = ("model.keras", "model.tflite", "model-int8.tflite", "model.bin")


def keep_export(root: DataRoot, model: str) -> None:
    """Keep the export of a fine-tuned network as the stage does; each file holds its name and its model."""
    folder, place = root.export(model), template_of(root, model)
    if not is_there(place):
        with publish_folder(place) as written:
            hashes = {}
            for name in (*LASTING, *BIG):
                if name not in PUBLISHED:
                    (written / name).parent.mkdir(exist_ok=True)
                    (written / name).write_bytes(data := f"{name} of {model}".encode())
                    hashes[name] = sha256(data).hexdigest()
            publish_json(written / "template.json", {"holes": {}, "sha256": hashes, "lacking": {}, "written": ""})
    for name in PUBLISHED:
        publish_bytes(folder / name, f"{name} of {model}".encode())
    details = {"template": f"train/{model}/export/files", "test": {"saved_model": {"agreement": 1.0}}}
    replace(manifest_of("export", 0, []), key=model, details=details).publish(folder / "manifest.json")


def template_of(root: DataRoot, model: str) -> AnyPath:
    return root.export(model) / "files"


def crown(root: DataRoot, seed: int, *, export: bool = True) -> str:
    """Let a run make a head of a seed the champion; returns its key."""
    task = prepare(root, seed, GOOD, run=f"run-{seed}")
    model = task.settings.train.key("snap")
    if export:
        keep_export(root, model)
    task.run()
    keep(root, record(root, f"{DAY}", head=model, run=task.run_id))
    return model


def numbers(root: DataRoot) -> list[int]:
    """The numbers that a model server finds, and all of which it could load."""
    found = [path for path in listed(root.serving(DATASET)) if path.name.isdecimal() and names_in(path)]
    assert all((path / "saved_model.pb").exists() for path in found)
    return sorted(int(path.name) for path in found)


def model_of(version: AnyPath) -> str:
    """The model of a version, all of whose files are of it and are those of a complete one."""
    model = str(json.loads(read_bytes(version / "version.json"))["model"])
    for name in LASTING:
        assert read_bytes(version / name).decode() == f"{name} of {model}"
    return model


def served(root: DataRoot) -> str:
    """The model that model servers and readers of `current` get, which must be complete."""
    name = root.storage.read_pointer(root.serving(DATASET) / "current")
    assert name is not None
    assert int(name) in numbers(root)
    return model_of(root.serving(DATASET) / name)


def names_in(version: AnyPath) -> set[str]:
    return {file.path for file in storage_at(version).files_below(version)}

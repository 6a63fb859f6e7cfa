"""Trained models: finding the one that a user names, and reading its settings, labels and paths of weights."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.backbone.backbones import Backbone, Prepared
from tasks.catalog import given_path
from tasks.decode.settings import DecodeSettings
from tasks.errors import ModelError, StoreError
from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath, to_path
from tasks.runs.records import read_record
from tasks.shards.manifests import Manifest, find_manifest, read_manifest
from tasks.snapshot.labels import to_label
from tasks.storage.files import is_folder, listed, read_json
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import read_announced

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


@dataclass(frozen=True, eq=False)
class Model:
    """A trained head with its backbones, or a fine-tuned network."""

    folder: AnyPath  #: Its folder, `data/train/<key>`.
    settings: TrainSettings | FinetuneSettings  #: Settings of its training: of a head, or of a network.
    snapshot: str  #: Key of the snapshot that it was trained on.
    labels: tuple[str, ...]  #: Its labels, in the order of its probabilities.
    #: Known paths of its backbones' weights, by their sha256; the others are looked up in the manifests of the backbone
    #: stage.
    weights: Mapping[str, AnyPath] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of the model."""
        return self.folder.name

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """The ways to decode photos for it, each once."""
        return tuple(dict.fromkeys(self.settings.decodes))

    @cached_property
    def prepared(self) -> tuple[Prepared, ...]:
        """Its backbones with the paths of their weights.

        Raises:
            ModelError: Weights are missing.
        """
        root = DataRoot.above(self.folder)
        return tuple(
            Prepared(backbone, self.weights.get(backbone.weights_sha256) or _find_weights(backbone, root))
            for backbone in self.settings.backbones
        )

    def weights_of(self, backbone: Backbone) -> AnyPath:
        """Path of the weights of one of its backbones, with any crop.

        Raises:
            ModelError: Weights are missing.
        """
        paths = {each.backbone.weights_sha256: each.weights for each in self.prepared}
        return paths[backbone.weights_sha256]


def find_model(text: str, root: DataRoot) -> AnyPath:
    """Find the folder of a head or network, which may still be in training.

    Args:
        text: Its key, its folder, or the record of a run, the latter two also on an object store; or the name of a
            dataset, which stands for its champion.
        root: The data root of keys and champions.

    Raises:
        ModelError: There is no such model.
        StoreError: The record, or the file that names the champion, is damaged.
        SettingError: The address cannot be used.
    """
    path = given_path(text)
    if path and path.parent.parent.name == "runs" and path.suffix == ".json":
        record = read_record(path) or {}
        root, key = DataRoot.above(path.parent), record.get("head") or record.get("network")
    elif path and path.parent.name == "train":
        root, key = DataRoot.above(path), path.name
    else:
        key = _champion(text, root) or text
    # A path instead of a key could lead out of the data root.
    folder = root.train(key) if isinstance(key, str) and _KEY.fullmatch(key) else None
    if folder is None or not is_folder(folder):
        raise ModelError(
            f"{text!r} is not the key of a head or network in {root.path / 'train'}, its folder, the record of a run, "
            "or the name of a dataset that has a champion."
        )
    return folder


def _champion(dataset: str, root: DataRoot) -> str | None:
    if not re.fullmatch(r"[\w-]+", dataset):
        return None
    path = root.champion(dataset)
    try:
        return str(read_json(path)["champion"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as exc:
        raise StoreError(f"{path} names no champion. Delete it; the next run chooses one again.") from exc


def read_model(folder: AnyPath, weights: Mapping[str, AnyPath] | None = None) -> Model:
    """Read the model in a folder of the train stage.

    Args:
        folder: The folder.
        weights: Known paths of its backbones' weights, by their sha256.

    Raises:
        ModelError: There is no model, or its training has not ended.
        StoreError: One of its files is damaged or of another version.
    """
    # The folder's name is the key, and a relative path such as `.` has none.
    folder = folder.absolute()
    training = read_announced(folder)
    if training is None:
        raise ModelError(f"There is no model in {folder}. Train one with luigi --module pipeline RetrainFlowers.")
    try:
        manifest = read_manifest(folder / "manifest.json")
    except FileNotFoundError as exc:
        raise ModelError(
            f"The training in {folder} has not ended. Wait until it ends, or start its run again."
        ) from exc
    return Model(folder, training.settings, training.snapshot, _labels(manifest, folder), weights or {})


def _labels(manifest: Manifest, folder: AnyPath) -> tuple[str, ...]:
    try:
        # An earlier version of this project kept labels as their folders' names were written.
        return tuple(map(to_label, manifest.details["labels"]))
    except (KeyError, TypeError) as exc:
        raise StoreError(
            f"{folder / 'manifest.json'} does not name the model's labels. Delete the folder and train again."
        ) from exc


def _find_weights(backbone: Backbone, root: DataRoot) -> AnyPath:
    paths = list(dict.fromkeys(_weight_paths(backbone, root)))
    for path in paths:
        if path.exists():
            return path
    if paths:
        raise ModelError(
            f"The weights of {backbone.name}, the model's backbone, are no longer at {paths[0]}. Put them back, or "
            "start the run that trained the model again, which fetches them."
        )
    raise ModelError(
        f"Nothing in {root.path / 'backbone'} says where the weights of {backbone.name}, the model's backbone, are. "
        "Start the run that trained the model again: it finds them without training anything."
    )


def _weight_paths(backbone: Backbone, root: DataRoot) -> Iterator[AnyPath]:
    """Yield the paths at which the backbone stage found or stored a backbone's weights."""
    for path in (path for folder in listed(root.below("backbone")) for path in listed(folder, "*.json")):
        manifest = find_manifest(path)
        # Other files, such as the hash of a download, are no manifests.
        if not manifest or manifest.settings.get("weights_sha256") != backbone.weights_sha256:
            continue
        if "weights" in manifest.details:
            found = to_path(manifest.details["weights"])
            yield found
            # Fetched weights lie beside the manifest, even if the data root was moved or has another path here.
            yield path.parent.joinpath(*_parts_below(found, path.parent.name))


def _parts_below(path: AnyPath, folder: str) -> tuple[str, ...]:
    """Return the parts of a path below the last folder of this name; the last part if there is no such folder."""
    parts = tuple(path.parts)
    return parts[len(parts) - parts[::-1].index(folder) :] if folder in parts else parts[-1:]

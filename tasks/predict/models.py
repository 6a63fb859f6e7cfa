"""A trained model as its folder describes it: how photos become its input, what it says, and where its weights are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.backbone.backbones import Backbone, Prepared
from tasks.decode.settings import DecodeSettings
from tasks.errors import ModelError, StoreError
from tasks.paths import AnyPath, to_path
from tasks.shards.manifests import Manifest, find_manifest, read_manifest
from tasks.snapshot.labels import to_label
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.training_state import read_announced


@dataclass(frozen=True, eq=False)
class Model:
    """A trained head with its backbones, or a fine-tuned network.

    Args:
        folder: Where it is: `data/train/<key>`.
        settings: How it was trained: of a head, or of a network.
        snapshot: Key of the snapshot that it was trained on.
        labels: Its labels, in the order of its probabilities.
        weights: Where the weights of its backbones are, by their sha256; others are where the backbone stage of the
            same data root found them.
    """

    folder: AnyPath
    settings: TrainSettings | FinetuneSettings
    snapshot: str
    labels: tuple[str, ...]
    weights: Mapping[str, AnyPath] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its key."""
        return self.folder.name

    @property
    def decodes(self) -> tuple[DecodeSettings, ...]:
        """How photos become the pictures that it takes, each once."""
        return tuple(dict.fromkeys(self.settings.decodes))

    @cached_property
    def prepared(self) -> tuple[Prepared, ...]:
        """Its backbones, each with its weights at hand.

        Raises:
            ModelError: The weights of one are not at hand.
        """
        root, known = DataRoot.above(self.folder), self.weights
        return tuple(
            Prepared(backbone, known.get(backbone.weights_sha256) or _find_weights(backbone, root))
            for backbone in self.settings.backbones
        )

    def weights_of(self, backbone: Backbone) -> AnyPath:
        """Where the weights of one of its backbones are, in whichever crop.

        Raises:
            ModelError: The weights of one are not at hand.
        """
        paths = {each.backbone.weights_sha256: each.weights for each in self.prepared}
        return paths[backbone.weights_sha256]


def read_model(folder: AnyPath, weights: Mapping[str, AnyPath] | None = None) -> Model:
    """Read what a folder of the train stage holds.

    Args:
        folder: The folder, `data/train/<key>`.
        weights: Where the weights of its backbones are, by their sha256, as far as that is known.

    Raises:
        ModelError: There is no model, or its training has not ended.
        StoreError: A file of it is damaged or of another version.
    """
    # A relative path, such as `.`, has no name, and the key is the name.
    folder = folder.absolute()
    training = read_announced(folder)
    if training is None:
        raise ModelError(f"There is no model in {folder}. Train one with luigi --module pipeline RetrainFlowers.")
    try:
        manifest = read_manifest(folder / "manifest.json")
    except FileNotFoundError as exc:
        raise ModelError(
            f"The training in {folder} has not ended. Let it end, or start the run again that began it."
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
    places = list(dict.fromkeys(_places(backbone, root)))
    for place in places:
        if place.exists():
            return place
    if places:
        raise ModelError(
            f"The weights of {backbone.name}, the model's backbone, are no longer at {places[0]}. Put them back, or "
            "start the run again that trained the model: it fetches them."
        )
    raise ModelError(
        f"Nothing in {root.path / 'backbone'} says where the weights of {backbone.name}, the model's backbone, are. "
        "Start the run again that trained the model: it finds them, and trains nothing anew."
    )


def _places(backbone: Backbone, root: DataRoot) -> Iterator[AnyPath]:
    """Where the backbone stage found or put a backbone's weights."""
    for path in (path for folder in listed(root.below("backbone")) for path in listed(folder, "*.json")):
        manifest = find_manifest(path)
        # Other files, such as the hash of a download, are no manifests.
        if not manifest or manifest.settings.get("weights_sha256") != backbone.weights_sha256:
            continue
        if "weights" in manifest.details:
            found = to_path(manifest.details["weights"])
            yield found
            # What was fetched lies beside the manifest, also in a data root that was moved or is named from elsewhere.
            yield path.parent.joinpath(*_below(found, path.parent.name))


def _below(path: AnyPath, folder: str) -> tuple[str, ...]:
    """What of a path comes after the last folder of a name; its end alone where it has none of that name."""
    parts = tuple(path.parts)
    return parts[len(parts) - parts[::-1].index(folder) :] if folder in parts else parts[-1:]

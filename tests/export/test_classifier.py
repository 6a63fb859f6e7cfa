"""A model as one TensorFlow function: its predictions are those of the pipeline."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.litert_forward import LiteRTForward, int8_network
from tasks.bottleneck.settings import BottleneckSettings
from tasks.export.classifier import Classifier, freeze_classifier, open_classifier
from tasks.export.tflite_merge import MergedPart
from tasks.export.writers import merge_tflite
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Head, load_head, save_head
from tasks.train.network import Network, build_network, save_network
from tasks.train.novelty import Background, measure_novelty
from tasks.train.settings import ClassicRecipe, LdaRecipe, TrainSettings
from tests.backbone.networks import SIZE, classifier, export, freeze_model, headless, save
from tests.train.examples import CLASSIC, FINETUNE, LDA
from tests.train.tiny import tiny

pytestmark = pytest.mark.slow

LABELS = ("daisy", "roses", "tulips")


def made_up_head(width: int, *, rooted: bool) -> Head:
    random = np.random.default_rng(0)
    weights = random.normal(size=(width, len(LABELS))).astype(np.float32)
    biases = random.normal(size=len(LABELS)).astype(np.float32)
    layer = (random.normal(size=shape).astype(np.float32) for shape in ((len(LABELS), len(LABELS)), len(LABELS)))
    return Head(LABELS, weights, biases, rooted, {}, Background(*layer) if rooted else None)


def save_backbone(kind: str, folder: Path) -> Prepared:
    """Save a small network, up to its bottleneck of two layers, as a kind of backbone."""
    network = headless(classifier(), ("features", "normed"))
    named: dict[str, Any] = {"bottleneck_tensor": "features,normed"}
    if kind == "frozen_graph":
        path, outputs = freeze_model(network, folder)
        named = {"input_tensor": "pixels:0", "bottleneck_tensor": ",".join(outputs)}
    else:
        path = (save if kind == "keras_file" else export)(network, folder)
    return prepare_own(BackboneRequest(str(path), scaling="symmetric", **named), path)


def add_head(prepared: Prepared, views: int, folder: Path, recipe: LdaRecipe | ClassicRecipe = LDA) -> Model:
    settings = TrainSettings((BottleneckSettings(prepared.backbone, "png", "float32", views),), recipe, seed=0)
    used = prepared.backbone if settings.rooted else prepared.backbone.last_layer
    save_head(made_up_head(used.width, rooted=settings.rooted), folder)
    return Model(folder, settings, "snapshot", LABELS, {prepared.backbone.weights_sha256: prepared.weights})


def patches(size: int = SIZE) -> npt.NDArray[np.uint8]:
    """Eight pictures of four colours each, uint8 [8, size, size, 3]."""
    colours = np.random.default_rng(2).integers(0, 256, (8, 2, 2, 3), dtype=np.uint8)
    return colours.repeat(size // 2, axis=1).repeat(size // 2, axis=2)


def open_trained(model: Model) -> Classifier:
    """Open the classifier of a model with its own head."""
    return open_classifier(model, load_head(model.folder) if isinstance(model.settings, TrainSettings) else None)


def assert_predicts_like_the_pipeline(model: Model, pixels: npt.NDArray[np.uint8]) -> None:
    """Compare the predictions; only the pipeline quantises square roots."""
    graph = freeze_classifier(open_trained(model))
    expected, novelty = Predictor(model, NullProgress()).predict_batch([pixels])
    probabilities, *others = tf.function(graph.call)(pixels)
    np.testing.assert_allclose(probabilities, expected, atol=0.005)
    assert len(others) == (0 if novelty is None else 1)
    if novelty is not None:
        np.testing.assert_allclose(others[0][:, 0], novelty, rtol=0.02, atol=0.02)
        assert np.ptp(novelty) > 0.1
    # If all were the same, any function of the pixels would pass.
    assert np.ptp(expected, axis=0).max() > 0.05


@pytest.mark.parametrize(
    ("kind", "views", "recipe"),
    [
        ("keras_file", 2, LDA),
        ("keras_file", 1, LDA),
        ("keras_file", 2, CLASSIC),
        ("saved_model", 2, LDA),
        ("frozen_graph", 2, LDA),
    ],
    ids=["keras file", "one view", "classic", "SavedModel", "frozen graph"],
)
def test_head_on_every_kind_of_backbone_predicts_like_the_pipeline(
    kind: str, views: int, recipe: LdaRecipe | ClassicRecipe, tmp_path: Path
) -> None:
    model = add_head(save_backbone(kind, tmp_path), views, tmp_path / "head", recipe)
    ((branch,),) = open_trained(model).crops
    assert (branch.keras_model is not None) == (kind == "keras_file")
    assert_predicts_like_the_pipeline(model, patches())


def test_fine_tuned_network_predicts_like_the_pipeline(tmp_path: Path) -> None:
    prepared = tiny(tmp_path)
    network = build_network(prepared, len(LABELS), pretrained=True)
    keras.utils.set_random_seed(0)
    network.layers[-1].set_weights([np.random.normal(size=(8, 3)), np.zeros(3)])
    save_network(Network(network, LABELS, {}), tmp_path / "network")
    settings = replace(FINETUNE, backbone=prepared.backbone)
    weights = {prepared.backbone.weights_sha256: prepared.weights}
    assert_predicts_like_the_pipeline(Model(tmp_path / "network", settings, "snapshot", LABELS, weights), patches(16))


@pytest.mark.parametrize("recipe", [LDA, CLASSIC], ids=["lda", "classic"])
def test_int8_network_of_several_layers_gives_the_head_the_layers_that_it_takes(
    recipe: LdaRecipe | ClassicRecipe, tmp_path: Path
) -> None:
    model = add_head(save_backbone("keras_file", tmp_path), 2, tmp_path / "head", recipe)
    (prepared,), opened = model.prepared, open_trained(model)
    int8 = int8_network(prepared, model.decodes[0], tmp_path / "store", NullProgress())
    pixels, forward = patches(), LiteRTForward(int8, 1)
    averages = np.stack([forward(view) for view in (pixels, pixels[:, :, ::-1])][: opened.views], axis=1)
    assert opened.head is not None
    used = averages[..., : len(opened.head.weights)]
    values = np.sign(used) * np.sqrt(np.abs(used)) if opened.head.rooted else used
    expected = scipy.special.softmax(values @ opened.head.weights + opened.head.biases, axis=-1).mean(axis=1)
    merged = merge_tflite([MergedPart(int8)], opened)
    predicted = LiteRTForward(merged, 1)(pixels)
    np.testing.assert_allclose(predicted[:, :-1], expected, atol=1e-5)
    novelty = measure_novelty(opened.head.scores(values), opened.head.background)
    np.testing.assert_allclose(predicted[:, -1], novelty, rtol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.05

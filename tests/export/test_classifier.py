"""A model as one function of TensorFlow's: what it says is what the pipeline's own predictor says."""

from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.frozen_function import freeze_function
from tasks.backbone.own_models import prepare
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.settings import BottleneckSettings
from tasks.export.classifier import open_classifier, plain_layer
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import Silence
from tasks.quiet_tensorflow import freeze, keras, tf
from tasks.train.head import Head, Standardisation, save_head
from tasks.train.network import Network, build_network, save_network
from tasks.train.settings import AdamRecipe, ClassicRecipe, FinetuneSettings, TrainSettings
from tests.backbone.test_own_models import SIZE, classifier
from tests.train.tiny import tiny

LABELS = ("daisy", "roses", "tulips")
ADAM = AdamRecipe(l2=(0.03,), epochs=1, batch_size=8, learning_rate=0.01, averaging=0.9, class_weights=False)
CLASSIC = ClassicRecipe(steps=1, batch_size=8, learning_rate=0.01, averaging=0.9)


def made_up_head(width: int, *, standardised: bool) -> Head:
    """A head with random numbers, and one number of the bottleneck that hardly ever varied."""
    random = np.random.default_rng(0)
    deviation = random.uniform(0.05, 0.5, width).astype(np.float32)
    deviation[0] = 1e-3
    standard = Standardisation(random.uniform(0, 0.5, width).astype(np.float32), deviation)
    weights = random.normal(size=(width, len(LABELS))).astype(np.float32)
    biases = random.normal(size=len(LABELS)).astype(np.float32)
    return Head(LABELS, weights, biases, standard if standardised else None, {})


@pytest.mark.parametrize("standardised", [True, False])
def test_a_head_is_one_plain_layer(standardised: bool) -> None:
    head = made_up_head(50, standardised=standardised)
    vectors = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    layer = plain_layer(head)
    numbers = np.sign(vectors) * np.sqrt(np.abs(vectors)) if layer.rooted else vectors
    scores = numbers @ layer.weights + layer.biases
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = head.probabilities(vectors[:, None])
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), expected, atol=1e-4)


def kept(form: str, folder: Path) -> BackboneRequest:
    """Write the same small network, up to its bottleneck, in a form that a user could have it in."""
    whole = classifier()
    network = keras.Model(whole.inputs[0], whole.get_layer("features").output)
    if form == "keras_file":
        network.save(folder / "mine.keras")
        return BackboneRequest(str(folder / "mine.keras"), scaling="symmetric")
    if form == "saved_model":
        network.export(folder / "mine", verbose=False)
        return BackboneRequest(str(folder / "mine"), scaling="symmetric")
    pixels = tf.TensorSpec((None, SIZE, SIZE, 3), name="pixels")
    frozen = freeze(tf.function(lambda pixels: network(pixels, training=False)).get_concrete_function(pixels))
    (folder / "mine.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    tensors = {"input_tensor": "pixels:0", "bottleneck_tensor": frozen.outputs[0].name}
    return BackboneRequest(str(folder / "mine.pb"), scaling="symmetric", **tensors)


def add_head(request: BackboneRequest, views: int, folder: Path, recipe: AdamRecipe | ClassicRecipe = ADAM) -> Model:
    """A model with a made-up head on a backbone."""
    prepared = prepare(request, Path(request.backbone))
    settings = TrainSettings(BottleneckSettings(prepared.backbone, "png", "float32", views), recipe, seed=0)
    save_head(made_up_head(prepared.backbone.width, standardised=recipe is ADAM), folder)
    return Model(folder, settings, "snapshot", LABELS, prepared)


def assert_says_what_the_pipeline_says(model: Model) -> None:
    size = model.prepared.backbone.size
    pixels = np.random.default_rng(2).integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    ready = open_classifier(model)
    graph = freeze_function(ready.probabilities, ready.size)
    expected = Predictor(model, Silence()).predict(pixels)
    np.testing.assert_allclose(tf.function(graph.call)(pixels), expected, atol=1e-5)
    # Were all the same, any function of the pixels would do.
    assert np.ptp(expected, axis=0).max() > 0.01


@pytest.mark.parametrize(
    ("form", "views", "recipe"),
    [
        ("keras_file", 2, ADAM),
        ("keras_file", 1, ADAM),
        ("keras_file", 2, CLASSIC),
        ("saved_model", 2, ADAM),
        ("frozen_graph", 2, ADAM),
    ],
    ids=["keras file", "one view", "classic", "SavedModel", "frozen graph"],
)
def test_a_head_on_every_kind_of_backbone_says_what_the_pipeline_says(
    form: str, views: int, recipe: AdamRecipe | ClassicRecipe, tmp_path: Path
) -> None:
    model = add_head(kept(form, tmp_path), views, tmp_path / "head", recipe)
    assert (open_classifier(model).keras_model is not None) == (form == "keras_file")
    assert_says_what_the_pipeline_says(model)


def test_a_fine_tuned_network_says_what_the_pipeline_says(tmp_path: Path) -> None:
    prepared = tiny(tmp_path)
    network = build_network(prepared, len(LABELS), pretrained=True)
    keras.utils.set_random_seed(0)
    network.layers[-1].set_weights([np.random.normal(size=(8, 3)), np.zeros(3)])
    save_network(Network(network, LABELS, {}), tmp_path / "network")
    settings = FinetuneSettings(prepared.backbone, "png", epochs=1, batch_size=8, learning_rate=0.01, seed=0)
    assert_says_what_the_pipeline_says(Model(tmp_path / "network", settings, "snapshot", LABELS, prepared))


def test_what_is_folded_away_is_not_kept_in_the_graph(tmp_path: Path) -> None:
    ready = open_classifier(add_head(kept("keras_file", tmp_path), 2, tmp_path / "head"))
    graph = freeze_function(ready.probabilities, ready.size).graph
    read = {source.partition(":")[0] for node in graph.node for source in node.input}
    unread = [node.name for node in graph.node if node.op == "Const" and node.name not in read]
    assert unread == []

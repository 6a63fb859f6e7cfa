"""A model as one function of TensorFlow's: what it says is what the pipeline's own predictor says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.frozen_function import freeze_function
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.int8 import Int8Forward, quantise
from tasks.bottleneck.settings import BottleneckSettings
from tasks.export.classifier import find_obstacle, open_classifier
from tasks.export.tflite import int8_lite
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tasks.train.head import Head, save_head, softmax
from tasks.train.network import Network, build_network, save_network
from tasks.train.settings import ClassicRecipe, FinetuneSettings, LdaRecipe, TrainSettings
from tests.backbone.networks import SIZE, classifier
from tests.train.tiny import tiny

LABELS = ("daisy", "roses", "tulips")
LDA = LdaRecipe(shrinkage=(0.1,), layer_weights=(1.0,), class_weights=False)
CLASSIC = ClassicRecipe(steps=1, batch_size=8, learning_rate=0.01, averaging=0.9)


def made_up_head(width: int, *, rooted: bool) -> Head:
    """A head with random numbers."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(width, len(LABELS))).astype(np.float32)
    biases = random.normal(size=len(LABELS)).astype(np.float32)
    return Head(LABELS, weights, biases, rooted, {})


def kept(form: str, folder: Path) -> BackboneRequest:
    """Write the same small network, up to its bottleneck of two layers, in a form that a user could have it in."""
    whole = classifier()
    network = keras.Model(whole.inputs[0], {name: whole.get_layer(name).output for name in ("features", "normed")})
    if form == "keras_file":
        network.save(folder / "mine.keras")
        named = str(folder / "mine.keras")
        return BackboneRequest(named, scaling="symmetric", bottleneck_tensor="features,normed")
    if form == "saved_model":
        network.export(folder / "mine", verbose=False)
        return BackboneRequest(str(folder / "mine"), scaling="symmetric", bottleneck_tensor="features,normed")
    pixels = tf.TensorSpec((None, SIZE, SIZE, 3), name="pixels")
    frozen = freeze(tf.function(lambda pixels: network(pixels, training=False)).get_concrete_function(pixels))
    (folder / "mine.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    outputs = sorted(frozen.outputs, key=lambda output: len(output.shape))
    tensors = ",".join(output.name for output in outputs)
    return BackboneRequest(
        str(folder / "mine.pb"), scaling="symmetric", input_tensor="pixels:0", bottleneck_tensor=tensors
    )


def add_head(request: BackboneRequest, views: int, folder: Path, recipe: LdaRecipe | ClassicRecipe = LDA) -> Model:
    """A model with a made-up head on a backbone."""
    prepared = prepare_own(request, Path(request.backbone))
    settings = TrainSettings((BottleneckSettings(prepared.backbone, "png", "float32", views),), recipe, seed=0)
    taken = prepared.backbone if settings.rooted else prepared.backbone.last_layer
    save_head(made_up_head(taken.width, rooted=settings.rooted), folder)
    return Model(folder, settings, "snapshot", LABELS, {prepared.backbone.weights_sha256: prepared.weights})


def patches(size: int = SIZE) -> npt.NDArray[np.uint8]:
    """Eight pictures of four colours each, uint8 [8, size, size, 3]."""
    colours = np.random.default_rng(2).integers(0, 256, (8, 2, 2, 3), dtype=np.uint8)
    return colours.repeat(size // 2, axis=1).repeat(size // 2, axis=2)


def assert_says_what_the_pipeline_says(model: Model, pixels: npt.NDArray[np.uint8]) -> None:
    """But for the rounding of square roots to what is stored, which exports do not do."""
    ready = open_classifier(model)
    graph = freeze_function(ready.probabilities, ready.size)
    expected = Predictor(model, NullProgress()).predict([pixels])
    np.testing.assert_allclose(tf.function(graph.call)(pixels), expected, atol=0.005)
    # Were all the same, any function of the pixels would do.
    assert np.ptp(expected, axis=0).max() > 0.05


@pytest.mark.parametrize(
    ("form", "views", "recipe"),
    [
        ("keras_file", 2, LDA),
        ("keras_file", 1, LDA),
        ("keras_file", 2, CLASSIC),
        ("saved_model", 2, LDA),
        ("frozen_graph", 2, LDA),
    ],
    ids=["keras file", "one view", "classic", "SavedModel", "frozen graph"],
)
def test_a_head_on_every_kind_of_backbone_says_what_the_pipeline_says(
    form: str, views: int, recipe: LdaRecipe | ClassicRecipe, tmp_path: Path
) -> None:
    model = add_head(kept(form, tmp_path), views, tmp_path / "head", recipe)
    assert (open_classifier(model).keras_model is not None) == (form == "keras_file")
    assert_says_what_the_pipeline_says(model, patches())


def test_a_model_of_several_backbones_or_of_two_crops_cannot_be_exported(tmp_path: Path) -> None:
    model = add_head(kept("keras_file", tmp_path), 2, tmp_path / "head")
    settings = model.settings
    assert isinstance(settings, TrainSettings)
    (plain,) = settings.bottlenecks
    other = replace(plain, backbone=replace(plain.backbone, name="other"))
    stretched = replace(plain, backbone=replace(plain.backbone, crop="stretch"))

    def obstacle(bottlenecks: tuple[BottleneckSettings, ...], recipe: LdaRecipe | ClassicRecipe = LDA) -> str | None:
        return find_obstacle(replace(model, settings=replace(settings, bottlenecks=bottlenecks, recipe=recipe)))

    assert obstacle((plain,)) is None
    assert "It predicts from mine and other, and a model of several backbones" in str(obstacle((plain, other)))
    assert "from two crops of a photo (--views 4)" in str(obstacle((plain, stretched)))
    # The classic head takes one view.
    assert obstacle((plain, stretched), CLASSIC) is None


def test_a_fine_tuned_network_says_what_the_pipeline_says(tmp_path: Path) -> None:
    prepared = tiny(tmp_path)
    network = build_network(prepared, len(LABELS), pretrained=True)
    keras.utils.set_random_seed(0)
    network.layers[-1].set_weights([np.random.normal(size=(8, 3)), np.zeros(3)])
    save_network(Network(network, LABELS, {}), tmp_path / "network")
    settings = FinetuneSettings(prepared.backbone, "png", epochs=1, batch_size=8, learning_rate=0.01, seed=0)
    weights = {prepared.backbone.weights_sha256: prepared.weights}
    assert_says_what_the_pipeline_says(Model(tmp_path / "network", settings, "snapshot", LABELS, weights), patches(16))


@pytest.mark.parametrize("recipe", [LDA, CLASSIC], ids=["lda", "classic"])
def test_int8_network_of_several_layers_gives_the_head_the_layers_that_it_takes(
    recipe: LdaRecipe | ClassicRecipe, tmp_path: Path
) -> None:
    model = add_head(kept("keras_file", tmp_path), 2, tmp_path / "head", recipe)
    (prepared,), ready = model.prepared, open_classifier(model)
    int8 = quantise(prepared, model.decodes[0])
    lite = int8_lite(int8, ready)
    pixels, forward = patches(), Int8Forward(int8, 1)
    averages = np.stack([forward(view) for view in (pixels, pixels[:, :, ::-1])][: ready.views], axis=1)
    assert ready.head is not None
    taken = averages[..., : len(ready.head.weights)]
    values = np.sign(taken) * np.sqrt(np.abs(taken)) if ready.head.rooted else taken
    expected = softmax(values @ ready.head.weights + ready.head.biases).mean(axis=1)
    np.testing.assert_allclose(Int8Forward(lite, 1)(pixels), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.05

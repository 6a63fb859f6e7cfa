"""Faults of an export are found on a sample of photos, and labels that are hard to tell apart are not taken for one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tasks.bottleneck.settings import BottleneckSettings
from tasks.export.classifier import Classifier, open_classifier
from tasks.export.export import SAMPLE
from tasks.export.parity import compare, find_refusal
from tasks.export.photos import ReferencePhotos
from tasks.predict.models import Model
from tasks.runtime.tensorflow_import import tf
from tasks.train.head import Floats, Head, save_head
from tasks.train.settings import TrainSettings
from tests.backbone.networks import SIZE
from tests.bottleneck.pictures import key_of
from tests.export.test_classifier import LABELS, save_backbone
from tests.train.examples import LDA

PHOTOS = 200
#: Scale of a head's weights: it is sure of nearly every photo, or of none.
EASY, HARD = 1.0, 0.15


@dataclass(frozen=True)
class Ready:
    """A model and photos."""

    classifier: Classifier  #: The model, ready to be exported.
    pixels: Any  #: uint8 [N, S, S, 3].
    values: Floats  #: The values that the pipeline computes: float32 [N, 2, D].
    head: Head

    def reference(self, values: Floats) -> ReferencePhotos:
        """Predict the photos from values of bottlenecks; the model is right on most of them."""
        probabilities = self.head.probabilities(values)
        truth = self.head.probabilities(self.values).argmax(axis=1)
        keys = [key_of(number) for number in range(PHOTOS)]
        return ReferencePhotos(keys, keys, truth, probabilities, LABELS)

    def judge(self, classifier: Classifier, precision: str) -> str | None:
        """Test a float file on a sample, as of a model in a precision, whose values have the noise of int8."""
        noise = np.random.default_rng(7).normal(0, 0.3, self.values.shape) * self.values.std(axis=(0, 1))
        own = self.values if precision == "float32" else (self.values + noise).astype(np.float32)
        expected, sample = self.reference(self.values), range(SAMPLE)
        probabilities = tf.function(classifier.predict)(self.pixels[:SAMPLE])[0].numpy()
        figures = compare(self.reference(own), expected.probabilities)
        figures["in_its_precision"] = compare(expected.take(sample), probabilities)
        return find_refusal({"model.tflite": figures}, precision)


@pytest.fixture(scope="module", params=[EASY, HARD], ids=["easy", "hard"])
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("model")
    prepared = save_backbone("keras_file", folder)
    settings = TrainSettings((BottleneckSettings(prepared.backbone, "png", "float32", 2),), LDA, seed=0)
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (PHOTOS, 3, 3, 3), dtype=np.uint8)
    pixels = patches.repeat(SIZE // 3, axis=1).repeat(SIZE // 3, axis=2)
    blank = Head(LABELS, np.zeros((prepared.backbone.width, 3), np.float32), np.zeros(3, np.float32), True, {})
    save_head(blank, folder / "head")
    model = Model(folder / "head", settings, "snapshot", LABELS, {prepared.backbone.weights_sha256: prepared.weights})
    ((branch,),) = open_classifier(model, blank).crops
    network = branch.network
    averages = np.stack([np.asarray(network(view.astype(np.float32))) for view in (pixels, pixels[:, :, ::-1])], axis=1)
    values = np.sign(averages) * np.sqrt(np.abs(averages))
    mean, deviation = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    weights = request.param * random.normal(size=(values.shape[-1], len(LABELS))) / deviation[:, None]
    head = Head(LABELS, weights.astype(np.float32), (-mean @ weights).astype(np.float32), True, {})
    return Ready(open_classifier(model, head), pixels, values, head)


def with_network(change: Callable[[Any], Any]) -> Callable[[Classifier], Classifier]:
    def make(sound: Classifier) -> Classifier:
        ((branch,),) = sound.crops
        return replace(sound, crops=((branch._replace(network=lambda pixels: branch.network(change(pixels))),),))

    return make


def with_weights(change: Callable[[Any], Any]) -> Callable[[Classifier], Classifier]:
    def make(sound: Classifier) -> Classifier:
        assert sound.head is not None
        return replace(sound, head=replace(sound.head, weights=change(sound.head.weights)))

    return make


FAULTS = {
    "order of labels": with_weights(lambda weights: weights[:, [1, 2, 0]]),
    "order of channels": with_network(lambda pixels: pixels[..., ::-1]),
    "scaling": with_network(lambda pixels: pixels / 255.0),
    "second view": lambda sound: replace(sound, views=1),
    "crop": with_network(lambda pixels: tf.image.resize(pixels[:, 4:-4, 4:-4], (SIZE, SIZE))),
    "damaged head": with_weights(lambda weights: np.concatenate([weights[:3] * 0, weights[3:]])),
    "no square root": lambda sound: replace(sound, head=sound.head and replace(sound.head, rooted=False)),
}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_sound_export_passes(ready: Ready, precision: str) -> None:
    assert ready.judge(ready.classifier, precision) is None


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faulty_export_is_refused(ready: Ready, fault: Callable[[Classifier], Classifier], precision: str) -> None:
    assert ready.judge(fault(ready.classifier), precision) is not None

"""How well the novelty tells photos of no label from others: AUROC, and the share found at the calibrated threshold.

Takes the bottlenecks of a head in a finished data root. Each label in turn is left out: a head is chosen and fitted on
seven tenths of the photos of the other labels, its threshold is calibrated on one tenth, and it is tested on two tenths
against all photos of the label that was left out, against drawn flowers, and against pictures of noise. The novelty is
compared with the energy of the same scores and with the largest probability.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import SettingError
from tasks.predict.models import Model, find_model, read_model
from tasks.predict.predictor import open_embedding
from tasks.progress import NullProgress
from tasks.shards.manifests import read_manifest
from tasks.storage.layout import DataRoot, manifest_path
from tasks.synthetic.composition import draw_photo
from tasks.train.features import Mask, read_values
from tasks.train.head import Floats, Head
from tasks.train.lda_training import LdaTrainer
from tasks.train.novelty import calibrate, measure_novelty
from tasks.train.photos import EmbeddedPhotos, load_photos
from tasks.train.settings import TrainSettings
from tests.benchmarks.measure import Output, Table, publish, run_command

#: Tenths of the photos that a head is fitted on, calibrated on and tested on.
FITTED, CALIBRATED, TESTED = range(7), (7,), (8, 9)
#: Drawn flowers, and pictures of noise.
DRAWN = 100


class Outcome(NamedTuple):
    """Outcome of a score on known and unknown photos."""

    auroc: float  #: Share of pairs of a known and an unknown photo in which the unknown one has the larger score.
    found: float  #: Share of the unknown photos above the threshold.
    alarms: float  #: Share of the known photos above the threshold.


def draw_flowers(decode: DecodeSettings) -> Pixels:
    """Draw flowers: uint8 [N, S, S, 3]."""
    return np.stack([read_pixels(decode_photo(draw_photo(number), decode).image) for number in range(DRAWN)])


def draw_noise(decode: DecodeSettings) -> Pixels:
    """Draw noise of four kinds: by pixel, uniform and normal, by patches of a quarter of the width, and one colour."""
    random, size = np.random.default_rng(0), decode.size
    pictures = []
    for number in range(DRAWN):
        patches = np.kron(random.integers(0, 256, (4, 4, 3)), np.ones((size // 4 + 1, size // 4 + 1, 1)))[:size, :size]
        normal = random.normal(128, 40, (size, size, 3)).clip(0, 255)
        kinds = (random.integers(0, 256, (size, size, 3)), normal, patches, random.integers(0, 256, (1, 1, 3)))
        pictures.append(np.broadcast_to(kinds[number % 4], (size, size, 3)).astype(np.uint8))
    return np.stack(pictures)


def embed(model: Model, settings: TrainSettings) -> dict[str, Floats]:
    """Compute the inputs of a head for drawn flowers and noise: float32 [N, V, D] each."""
    embedding, values = open_embedding(model, settings, NullProgress()), {}
    for name, draw in (("drawn flowers", draw_flowers), ("noise", draw_noise)):
        pixels = [draw(decode) for decode in model.decodes]
        starts = range(0, DRAWN, embedding.batch_size)
        parts = [embedding.embed([own[start : start + embedding.batch_size] for own in pixels]) for start in starts]
        values[name] = np.concatenate(parts)
    return values


def fit_without(photos: EmbeddedPhotos, label: int) -> Head:
    """Choose and fit a head on the fitted tenths of all labels but one."""
    chosen = photos.in_tenths(FITTED) & (photos.truth != label)
    numbers = photos.features.read(chosen, range(photos.features.shape[1]))
    labels = tuple(name for number, name in enumerate(photos.labels) if number != label)
    truth = photos.truth[chosen]
    head, _ = LdaTrainer.of(photos.features.settings, labels).search_on(numbers, truth - (truth > label))
    return head


def score(head: Head, values: Floats) -> dict[str, Floats]:
    """Compute the compared scores of photos with these inputs: float32 [N] each, larger for unknown ones."""
    scores = head.scores(values)
    return {
        "novelty": measure_novelty(scores, head.background),
        "energy": measure_novelty(scores, None),
        "largest probability": -head.probabilities(values).max(axis=1),
    }


def compare(calibration: Floats, known: Floats, unknown: Floats) -> Outcome:
    """Compare scores of known and unknown photos, with the threshold of the calibration: float32 [N] each."""
    pairs = (unknown[:, None] > known).mean() + (unknown[:, None] == known).mean() / 2
    threshold = calibrate(calibration)["threshold"]
    if threshold is None:
        raise SettingError("A tenth of the photos is too few for a threshold. Give a model of a larger dataset.")
    return Outcome(float(pairs), float((unknown > threshold).mean()), float((known > threshold).mean()))


def measure_label(
    photos: EmbeddedPhotos, label: int, others: Mapping[str, Floats]
) -> Iterator[tuple[str, str, Outcome]]:
    """Leave a label out, and yield kinds of unknown photos, scores and outcomes."""
    head, is_left_out = fit_without(photos, label), photos.truth == label

    def read(selected: Mask) -> Floats:
        return read_values(photos.features, selected)

    calibration = score(head, read(photos.in_tenths(CALIBRATED) & ~is_left_out))
    known = score(head, read(photos.in_tenths(TESTED) & ~is_left_out))
    for kind, values in {"the label that was left out": read(is_left_out), **others}.items():
        for name, unknown in score(head, values).items():
            yield kind, name, compare(calibration[name], known[name], unknown)


def load(model: Model, root: DataRoot[Path]) -> EmbeddedPhotos:
    """Load the photos of a head with their bottlenecks.

    Raises:
        SettingError: The model is no head of the recipe `lda`.
    """
    settings = model.settings
    if not isinstance(settings, TrainSettings) or not settings.rooted:
        raise SettingError(f"{model.key} is no head of the recipe lda.")
    paths = (manifest_path(each.store(root).folder, model.snapshot) for each in settings.bottlenecks)
    return load_photos(model.snapshot, [read_manifest(path) for path in paths], settings, root)


def main(
    output: Output,
    model: Annotated[str, typer.Option(help="Head, or dataset with a champion.")],
    data_root: Annotated[Path, typer.Option(help="Finished data root.")],
) -> None:
    """Measure the novelty of heads that lack a label."""
    root = DataRoot(data_root)
    found = read_model(find_model(model, root))
    photos = load(found, root)
    others = embed(found, photos.features.settings)
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    for label, name in enumerate(photos.labels):
        for kind, way, outcome in measure_label(photos, label, others):
            outcomes.setdefault(kind, {}).setdefault(way, []).append(outcome)
            typer.echo(f"{name:<16} {kind:<28} {way:<20} " + "  ".join(f"{value:.3f}" for value in outcome))
    tables = [
        Table(f"{kind}: {field}", "", {way: [getattr(each, field) for each in own] for way, own in ways.items()})
        for kind, ways in outcomes.items()
        for field in Outcome._fields
    ]
    publish("novelty", tables, output, labels=list(photos.labels))


if __name__ == "__main__":
    run_command(main, __doc__)

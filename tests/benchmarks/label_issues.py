"""Label issues beside those of cleanlab on the same probabilities, where a share of the labels is exchanged.

A run of the real `luigi` command with all defaults computes the bottlenecks. In each round, so many photos get another
label; a head is trained and cross-validated on them as by the train and evaluate stages. The average precision is that
of the ranking, precision and recall are those of the flags. Labels that were wrong before count as right. cleanlab
(pip install cleanlab) is used only here: its licence is AGPL.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from tasks.evaluate.cross_validation import cross_predict
from tasks.evaluate.label_issues import find_label_issues
from tasks.evaluate.predictions import Probabilities
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tasks.train.features import Indices, Mask
from tasks.train.head import load_head
from tasks.train.head_training import train_head
from tasks.train.photos import EmbeddedPhotos
from tests.benchmarks.layers import embed
from tests.benchmarks.measure import FLOWERS, Output, Repeat, Table, publish, run_command

FOLDS = 5


class Judged(NamedTuple):
    """Labels as a program judges them: a score, the smallest the worst, float [N], and flags, bool [N]."""

    scores: npt.NDArray[np.floating]
    flags: Mask


def exchange_labels(truth: Indices, labels: int, share: float, seed: int) -> Indices:
    """Give a share of the photos another label, each with the same chance."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(truth), round(share * len(truth)), replace=False)
    given = truth.copy()
    given[chosen] = (given[chosen] + random.integers(1, labels, len(chosen))) % labels
    return given


def cross_validate(photos: EmbeddedPhotos) -> Probabilities:
    """Train a head, and predict each photo by a head that was trained without the photos of its fold."""
    with tempfile.TemporaryDirectory() as folder:
        train_head(photos, "snapshot", Path(folder), None, NullProgress())
        crossed = cross_predict(photos, load_head(Path(folder)), FOLDS, None, NullProgress())[1]
    assert crossed is not None
    return crossed


def judge(given: Indices, crossed: Probabilities) -> dict[str, Judged]:
    """Judge labels by this project, and by cleanlab's default filter and its best one here, ranked as by default."""
    from cleanlab.filter import find_label_issues as find_by_cleanlab  # noqa: PLC0415 (only for this benchmark)
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    found = find_label_issues(given, crossed, np.zeros(len(given), bool))
    doubles = crossed.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)
    scores = {name: get_label_quality_scores(given, doubles, method=name) for name in _METHODS}
    return {
        "this project": Judged(found.score, found.is_issue),
        **{
            f"cleanlab, {flags}, {name}": Judged(scores[name], find_by_cleanlab(given, doubles, filter_by=flags))
            for name, flags in _METHODS.items()
        },
    }


#: Rankings of cleanlab, each with a filter: its defaults first.
_METHODS = {"self_confidence": "prune_by_noise_rate", "normalized_margin": "prune_by_class"}


def main(output: Output, repeat: Repeat = 3, share: float = 0.05, dataset: str = str(FLOWERS)) -> None:
    """Exchange labels, and compare the average precision, precision and recall of label issues."""
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in ("average precision", "precision", "recall")}
    with tempfile.TemporaryDirectory() as folder:
        photos = embed(dataset, DataRoot(Path(folder)))
        for seed in range(repeat):
            given = exchange_labels(photos.truth, len(photos.labels), share, seed)
            wrong = given != photos.truth
            crossed = cross_validate(replace(photos, truth=given, summed={}))
            for way, judged in judge(given, crossed).items():
                measured = {
                    "average precision": average_precision_score(wrong, -judged.scores),
                    "precision": wrong[judged.flags].mean(),
                    "recall": judged.flags[wrong].mean(),
                }
                for name, value in measured.items():
                    figures[name].setdefault(way, []).append(100 * float(value))
    tables = [Table(f"{share:.0%} of the labels exchanged: {name}", "%", rows) for name, rows in figures.items()]
    publish("label_issues", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)

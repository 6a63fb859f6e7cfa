"""Label issues: photos whose label is probably wrong, by the predictions of heads that never saw them.

Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) estimates how many labels are wrong: it
counts the photos that are confidently of another label, where a photo is confidently of a label if the probability of
that label is at least the mean over the photos that have it. So many photos with the smallest probabilities of their
own labels are the issues. Of the ways that this paper and its authors' library give, this one had the best precision
and recall on flower_photos with labels exchanged (tests/benchmarks/label_issues.py).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.bottleneck.quantisation import Floats
from tasks.evaluate.predictions import Probabilities, intact
from tasks.paths import AnyPath
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.schemas import LABEL_ISSUES, describe
from tasks.train.features import Indices, Mask
from tasks.train.photos import LabelledPhotos

_FILE = "label_issues.parquet"


class LabelIssues(NamedTuple):
    """The labels of N photos, judged."""

    suggested: Indices  #: The most probable other label of each photo, int64 [N].
    label_probability: Floats  #: Probability of each photo's label, float32 [N].
    suggested_probability: Floats  #: Probability of the suggested label, float32 [N].
    score: Floats  #: Quality of each label in [0, 1], float32 [N]; the smallest is the worst.
    is_issue: Mask  #: Whether each label is probably wrong, bool [N].


class LabelIssue(NamedTuple):
    """A photo with its label judged; see `LabelIssues`."""

    sha256: str
    path: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    score: float
    is_issue: bool


def find_label_issues(truth: Indices, crossed: Probabilities, disputed: Mask) -> LabelIssues:
    """Find labels that are probably wrong.

    Args:
        truth: int64 [N], index of each photo's label in [0, C).
        crossed: float32 [N, C], probabilities by heads that were trained without the photo; C at least 2.
        disputed: Whether a near duplicate of the photo has another label, bool [N]: one of the two is wrong, so that
            both are issues and the worst.
    """
    photos = np.arange(len(truth))
    own = crossed[photos, truth]
    others = crossed.copy()
    others[photos, truth] = -1
    suggested = others.argmax(axis=1)
    suggested_probability = others[photos, suggested]
    candidates = suggested_probability > own
    wrong = min(_count_wrong(truth, crossed), int(candidates.sum()))
    is_issue = disputed.copy()
    is_issue[np.argsort(np.where(candidates, own, np.inf), kind="stable")[:wrong]] = True
    return LabelIssues(suggested, own, suggested_probability, np.where(disputed, np.float32(0), own), is_issue)


def _count_wrong(truth: Indices, crossed: Probabilities) -> int:
    """Count the photos that are confidently of another label: the confident joint outside its diagonal."""
    labels = crossed.shape[1]
    sums = np.bincount(truth, crossed[np.arange(len(truth)), truth], minlength=labels)
    # A label without photos has no threshold that a probability reaches.
    means = sums / np.maximum(np.bincount(truth, minlength=labels), 1)
    confident = np.where((crossed >= means) & (means > 0), crossed, -1)
    most = confident.argmax(axis=1)
    return int(((confident.max(axis=1) >= 0) & (most != truth)).sum())


def publish_label_issues(
    evaluation: AnyPath, photos: LabelledPhotos, issues: LabelIssues, settings: Mapping[str, object]
) -> None:
    """Publish the label issues of an evaluation in its folder: all photos, the worst first."""
    names = np.array(photos.labels, dtype=object)
    columns = {
        "sha256": photos.sha256,
        "path": photos.paths,
        "label": names[photos.truth],
        "suggested": names[issues.suggested],
        "label_probability": issues.label_probability,
        "suggested_probability": issues.suggested_probability,
        "score": issues.score,
        "is_issue": issues.is_issue,
    }
    order = np.lexsort((issues.label_probability, issues.score, ~issues.is_issue))
    table = pa.table(columns, LABEL_ISSUES).take(pa.array(order))
    publish_parquet(evaluation / _FILE, table.cast(describe(LABEL_ISSUES, "evaluate", evaluation.name, settings)))


def read_label_issues(evaluation: AnyPath, worst: int | None = None) -> list[LabelIssue]:
    """Read the label issues of an evaluation, the worst first; or the so many worst photos, issues or not.

    Raises:
        FileNotFoundError: There is no such file: without a cross-validation, and in evaluations of earlier versions.
        DamagedError: The file is damaged.
    """
    path = evaluation / _FILE
    if not path.exists():
        raise FileNotFoundError(path)
    with intact(path):
        table = read_parquet(path)
        table = table.filter(table["is_issue"]) if worst is None else table.slice(0, worst)
        return [LabelIssue(**row) for row in table.to_pylist()]

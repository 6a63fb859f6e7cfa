"""Whether an export says what the pipeline says, on the photos of the test split."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from tasks.evaluate.metrics import measure
from tasks.export.formats import FORMS, INT8, Form
from tasks.export.photos import KnownPhotos
from tasks.train.head import Floats

#: An export that is at its bar is refused in one of twenty test splits.
_CERTAINTY = 0.95
#: Of normally distributed differences, one of 23 is larger than this many times their median.
_TIMES_MEDIAN = 3.0
#: Largest difference in log-odds that two programs may make that compute the same in one precision: for a tie, and for
#: an export at all. Measured on 218 flower photos: 0.07 from files, and 0.05 from pixels, since exports do not round
#: square roots to what is stored; one without the second view, or that is shown wrong colours, differs by 0.49 or more.
_ROUNDING, _FAULT = 0.1, 0.3
#: How sure it has to be that a precision costs right answers.
_WORSE = 0.999
#: Probabilities that are smaller are all the same to the comparison.
_SMALLEST = 1e-7


def judge(photos: KnownPhotos, probabilities: Floats) -> dict[str, Any]:
    """Compare what an export says of photos with what the pipeline says, and with the truth.

    Two computations of one model differ numerically. Where the pipeline hardly prefers a label to another one, that
    alone can make the export name the other: a tie, which is no disagreement. Both are measured in log-odds, in which
    the numerical difference does not depend on how probable the labels are. It is three times the median, over all
    photos, of the change in the log-odds between the pipeline's two best labels; a median, so that a fault that shows
    on fewer than half of the photos does not excuse itself, and bounded, since a fault may show on all.

    Args:
        photos: N photos.
        probabilities: What the export says, float32 [N, C].

    Returns:
        For metrics.json: `photos`, `agreement` (share on which both name the same label first), `disagreements` (photos
        on which they do not, ties aside), `ties`, `lost` and `won` (photos on which the pipeline alone and the export
        alone is right), `accuracy`, `difference` (in log-odds, as measured), `largest_difference` of a probability, and
        `metrics` as evaluation has them. All but `photos` are None where there is no photo.
    """
    if not len(photos):
        names = ("agreement", "disagreements", "ties", "lost", "won")
        return {"photos": 0, **dict.fromkeys((*names, "accuracy", "difference", "largest_difference", "metrics"))}
    known, named, rows = _log(photos.probabilities), probabilities.argmax(axis=1), np.arange(len(photos))
    best = photos.probabilities.argmax(axis=1)
    difference = _numerical_difference(known, _log(probabilities))
    other = named != best
    disagree = other & (known[rows, best] - known[rows, named] > min(difference, _ROUNDING))
    metrics = measure(photos.truth, probabilities, photos.labels)
    return {
        "photos": len(photos),
        "agreement": float(1 - other.mean()),
        "disagreements": int(disagree.sum()),
        "ties": int((other & ~disagree).sum()),
        "lost": int((other & (best == photos.truth)).sum()),
        "won": int((other & (named == photos.truth)).sum()),
        "accuracy": metrics.accuracy,
        "difference": difference,
        "largest_difference": float(np.abs(probabilities - photos.probabilities).max()),
        "metrics": metrics.to_json(),
    }


def _log(probabilities: Floats) -> npt.NDArray[np.float64]:
    logarithms: npt.NDArray[np.float64] = np.log(np.maximum(probabilities, _SMALLEST, dtype=np.float64))
    return logarithms


def _numerical_difference(known: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> float:
    """Measure how far two computations lie apart: see `judge`.

    Args:
        known: Logarithms of the pipeline's probabilities, [N, C].
        said: Those of the export's, [N, C].
    """
    best_two = np.argsort(-known, axis=1, kind="stable")[:, :2]
    odds = [np.subtract(*np.take_along_axis(each, best_two, axis=1).T) for each in (known, said)]
    return _TIMES_MEDIAN * float(np.median(np.abs(odds[0] - odds[1])))


def allowed(photos: int, bar: float) -> int:
    """How many disagreements are put down to chance.

    Test photos are a sample. Where an export disagrees on the share 1 - bar of all photos, a sample of N has more
    disagreements than this, a quantile of the binomial distribution, in at most one of twenty cases. One is always
    allowed.
    """
    return max(1, int(binom.ppf(_CERTAINTY, photos, 1 - bar)))


def disagrees(form: Form, figures: Mapping[str, Any]) -> bool:
    """Whether an export disagrees on more photos than chance explains."""
    return bool(figures["photos"]) and figures["disagreements"] > allowed(figures["photos"], form.bar)


def find_refusal(judged: Mapping[str, Mapping[str, Any]], precision: str) -> str | None:
    """Say why exports are refused: one says something else than the pipeline; None where none does.

    Where an export disagrees that computes in another precision than the model, the labels may be so hard to tell apart
    that the precision alone decides between them. That is no fault of the export: it may differ from the model as the
    pipeline itself does in the export's precision, unless that is right on fewer photos.

    Args:
        judged: What `judge` found, by the name of the export; what it found beside the pipeline in the export's own
            precision is `in_its_precision`.
        precision: What the model's own predictions were computed in.
    """
    for form in FORMS:
        figures = judged.get(form.name, {"photos": 0})
        fault = _find_fault(form, figures, precision) if figures["photos"] else None
        if fault:
            return f"The export {form.name} {fault}. Nothing was exported. {_remedy(form, precision)}"
    return None


def _find_fault(form: Form, figures: Mapping[str, Any], precision: str) -> str | None:
    alike = figures.get("in_its_precision")
    if disagrees(form, figures) and (alike is None or disagrees(form, alike) or _is_worse(figures)):
        return (
            f"names another label than the model on {figures['disagreements']:,} of {figures['photos']:,} test photos, "
            f"not counting {figures['ties']:,} ties: the bar is {form.bar:.0%}, and at most "
            f"{allowed(figures['photos'], form.bar):,} are put down to chance"
        )
    # One that decodes photos itself may differ by more: it reads no colour profiles.
    if form.precision == precision and not form.decodes and figures["difference"] > _FAULT:
        return (
            f"gives other probabilities than the model: they differ by {figures['difference']:.2f} in log-odds, and "
            f"rounding explains {_FAULT}"
        )
    return None


def _is_worse(figures: Mapping[str, Any]) -> bool:
    """Whether an export is right on fewer photos beyond chance: the exact form of McNemar's test, one-sided."""
    lost, won = figures["lost"], figures["won"]
    return bool(binom.sf(lost - 1, lost + won, 0.5) < 1 - _WORSE)


def _remedy(form: Form, precision: str) -> str:
    if form.precision == precision and not form.decodes:
        cure = "It computes as the model does, so that this is a fault of the export: report it"
    elif form is INT8:
        cure = "Give --precision int8, so that the head is trained on what such a network says, or another --backbone"
    elif precision != "float32":
        cure = f"It computes in float32, the model was trained in {precision}: give --precision float32"
    else:
        cure = "Convert photos with colour profiles to sRGB: TensorFlow does not read profiles, and the pipeline does"
    return f"{cure}; --export none does without exports."

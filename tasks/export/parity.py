"""Parity: compares the predictions of an export and of the pipeline for the test photos."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from tasks.evaluate.metrics import measure
from tasks.export.formats import FORMATS, TFLITE_INT8, ExportFormat
from tasks.export.photos import ReferencePhotos
from tasks.train.head import Floats

#: An export exactly at its bar is refused for one of twenty test splits.
_CONFIDENCE = 0.95
#: Of normally distributed differences, one of 23 is larger than this many times their median.
_TIMES_MEDIAN = 3.0
#: Largest difference in log-odds between two programs that compute the same in one precision: for a tie, and for an
#: export as a whole. Measured on 218 flower photos: 0.07 from files, and 0.05 from pixels, since exports do not
#: quantise square roots; an export without the second view, or with wrong colours, differs by 0.49 or more.
_ROUNDING, _FAULT = 0.1, 0.3
#: Confidence at which an export is considered less accurate than the model.
_WORSE = 0.999
#: Smaller probabilities are compared as if they had this value.
_SMALLEST = 1e-7


def compare(photos: ReferencePhotos, probabilities: Floats) -> dict[str, Any]:
    """Compare an export's predictions, float32 [N, C], with the pipeline's of N photos, and with the truth.

    Two computations of one model differ numerically. If the pipeline hardly prefers a label to another one, that alone
    can make the export predict the other: a tie, which is not a disagreement. Both are measured in log-odds, in which
    the numerical difference does not depend on the probabilities. The difference is three times the median, over all
    photos, of the change in the log-odds between the pipeline's two best labels. It is a median, so that a fault on
    fewer than half of the photos does not excuse itself, and bounded, since a fault may affect all of them.

    Returns:
        For metrics.json: `photos`, `agreement` (share on which both predict the same label), `disagreements` (photos on
        which they do not, without ties), `ties`, `lost` and `won` (photos on which only the pipeline and only the
        export is right), `accuracy`, `difference` (in log-odds, as measured), `largest_difference` of a probability,
        and `metrics` as in an evaluation. Without photos, all but `photos` are None.
    """
    if not len(photos):
        names = ("agreement", "disagreements", "ties", "lost", "won")
        return {"photos": 0, **dict.fromkeys((*names, "accuracy", "difference", "largest_difference", "metrics"))}
    reference, predicted, rows = _log(photos.probabilities), probabilities.argmax(axis=1), np.arange(len(photos))
    expected = photos.probabilities.argmax(axis=1)
    difference = _numerical_difference(reference, _log(probabilities))
    differs = predicted != expected
    disagrees = differs & (reference[rows, expected] - reference[rows, predicted] > min(difference, _ROUNDING))
    metrics = measure(photos.truth, probabilities, photos.labels)
    return {
        "photos": len(photos),
        "agreement": float(1 - differs.mean()),
        "disagreements": int(disagrees.sum()),
        "ties": int((differs & ~disagrees).sum()),
        "lost": int((differs & (expected == photos.truth)).sum()),
        "won": int((differs & (predicted == photos.truth)).sum()),
        "accuracy": metrics.accuracy,
        "difference": difference,
        "largest_difference": float(np.abs(probabilities - photos.probabilities).max()),
        "metrics": metrics.to_json(),
    }


def _log(probabilities: Floats) -> npt.NDArray[np.float64]:
    logarithms: npt.NDArray[np.float64] = np.log(np.maximum(probabilities, _SMALLEST, dtype=np.float64))
    return logarithms


def _numerical_difference(reference: npt.NDArray[np.float64], export: npt.NDArray[np.float64]) -> float:
    """Measure the difference of two computations from the logarithms of their probabilities, [N, C]; see `compare`."""
    best_two = np.argsort(-reference, axis=1, kind="stable")[:, :2]
    odds = [np.subtract(*np.take_along_axis(each, best_two, axis=1).T) for each in (reference, export)]
    return _TIMES_MEDIAN * float(np.median(np.abs(odds[0] - odds[1])))


def allowed_disagreements(photos: int, bar: float) -> int:
    """Return the number of disagreements that are attributed to chance.

    Test photos are a sample. If an export disagrees on the share 1 - bar of all photos, a sample of N has more
    disagreements than this quantile of the binomial distribution in at most one of twenty cases. One is always allowed.
    """
    return max(1, int(np.argmax(bdtr(np.arange(photos + 1), photos, 1 - bar) >= _CONFIDENCE)))


def disagrees(format_: ExportFormat, figures: Mapping[str, Any]) -> bool:
    """Whether an export disagrees on more photos than chance explains."""
    photos = figures["photos"]
    return bool(photos) and figures["disagreements"] > allowed_disagreements(photos, format_.bar)


def find_refusal(figures: Mapping[str, Mapping[str, Any]], precision: str) -> str | None:
    """Return the reason for refusing an export: a format disagrees with the pipeline; None if none does.

    A file must predict like the pipeline in the precision of the file. Where that is another precision than the
    model's, the labels may be so hard to tell apart that the precision alone decides between them. The export is not at
    fault: it may differ from the model as the pipeline itself does in the export's precision, unless it is right on
    fewer photos.

    Args:
        figures: Results of `compare` with the model by the name of the format. `in_its_precision` is the comparison of
            the file with the pipeline in the file's precision, possibly on fewer photos; it may be missing where that
            is the model's precision.
        precision: Precision of the model's own predictions.
    """
    for each in FORMATS:
        own = figures.get(each.name, {"photos": 0})
        fault = _find_fault(each, own, precision) if own["photos"] else None
        if fault:
            return f"The export {each.name} {fault}. Nothing was exported. {_remedy(each, precision)}"
    return None


def _find_fault(format_: ExportFormat, figures: Mapping[str, Any], precision: str) -> str | None:
    own = figures.get("in_its_precision", figures)
    if not format_.decodes and disagrees(format_, own):
        return _disagreement(format_, own)
    if disagrees(format_, figures) and (
        format_.precision == precision or disagrees(format_, own) or _is_less_accurate(figures)
    ):
        return _disagreement(format_, figures)
    # A format that decodes photos may differ by more: it reads no colour profiles.
    if not format_.decodes and own["difference"] > _FAULT:
        return (
            f"predicts other probabilities than the model: they differ by {own['difference']:.2f} in log-odds, and "
            f"rounding explains {_FAULT}"
        )
    return None


def _disagreement(format_: ExportFormat, figures: Mapping[str, Any]) -> str:
    return (
        f"predicts another label than the model on {figures['disagreements']:,} of {figures['photos']:,} test "
        f"photos, not counting {figures['ties']:,} ties: the bar is {format_.bar:.0%}, and chance explains at most "
        f"{allowed_disagreements(figures['photos'], format_.bar):,}"
    )


def _is_less_accurate(figures: Mapping[str, Any]) -> bool:
    """Whether an export is right on fewer photos than chance explains: McNemar's exact test, one-sided."""
    lost, won = figures["lost"], figures["won"]
    return bool(bdtrc(lost - 1, lost + won, 0.5) < 1 - _WORSE)


def _remedy(format_: ExportFormat, precision: str) -> str:
    if format_.precision == precision and not format_.decodes:
        remedy = "It computes like the model, so that this is a fault of the export: report it"
    elif format_ is TFLITE_INT8:
        remedy = "Give --precision int8, which trains the head on such a network, or another --backbone"
    elif precision != "float32":
        remedy = f"It computes in float32, the model was trained in {precision}: give --precision float32"
    else:
        remedy = "Convert photos with colour profiles to sRGB: TensorFlow does not read profiles, and the pipeline does"
    return f"{remedy}; --export none skips the export."

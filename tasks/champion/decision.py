"""The decision on a dataset's champion, as manifest, run record and report hold it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tasks.errors import StoreError
from tasks.runs.records import VERDICTS, Verdict

#: Reason for which a champion stays: the new model is worse, over all photos or on a label; its run is for an earlier
#: date; a person pinned the champion, or rolled back from the new model; or the model is refused because of drift.
KeptBy = Literal["accuracy", "label", "date", "pin", "rollback", "drift"]
#: Level of the tests by label: of new models that are as good as the champion, at most this share fails on any label.
LABEL_LEVEL = 0.05


class Bounds(NamedTuple):
    """Bounds of a difference of two accuracies, each in [-1, 1], and their confidence level, in (0, 1)."""

    low: float
    high: float
    confidence: float


class LabelComparison(NamedTuple):
    """Results of a new model and the champion on the same photos of a label."""

    label: str
    photos: int  #: Number of compared photos of the label.
    new_right: int  #: Photos that the new model predicts rightly.
    champion_right: int  #: Photos that the champion predicts rightly.
    #: Probability that a model as good as the champion does as badly or worse, corrected for the number of labels.
    p_value: float

    @property
    def worse(self) -> bool:
        """Whether the new model is worse on the label."""
        return self.p_value <= LABEL_LEVEL


@dataclass(frozen=True)
class Comparison:
    """Results of a new model and the champion on the same photos."""

    #: Photos of the test split that are not compared: the champion was trained on them or has no picture.
    left_out: int
    both: int  #: Photos that both predict rightly.
    only_new: int  #: Photos that only the new model predicts rightly.
    only_champion: int  #: Photos that only the champion predicts rightly.
    neither: int  #: Photos that neither predicts rightly.
    interval: Bounds  #: Confidence interval of `difference`.
    p_value: float  #: Probability that two models of one accuracy differ as much as this, or more.
    labels: tuple[LabelComparison, ...] = ()  #: The labels with enough photos for a test.

    @property
    def photos(self) -> int:
        """Number of compared photos, 1 at least."""
        return self.both + self.only_new + self.only_champion + self.neither

    @property
    def new_accuracy(self) -> float:
        """Accuracy of the new model, in [0, 1]."""
        return (self.both + self.only_new) / self.photos

    @property
    def champion_accuracy(self) -> float:
        """Accuracy of the champion, in [0, 1]."""
        return (self.both + self.only_champion) / self.photos

    @property
    def difference(self) -> float:
        """Accuracy of the new model minus that of the champion, in [-1, 1]."""
        return (self.only_new - self.only_champion) / self.photos

    @property
    def worse(self) -> bool:
        """Whether the new model is worse: the interval lies below 0."""
        return self.interval.high < 0

    @property
    def better(self) -> bool:
        """Whether the new model is better: the interval lies above 0."""
        return self.interval.low > 0

    @property
    def worse_labels(self) -> list[LabelComparison]:
        """The labels on which the new model is worse."""
        return [label for label in self.labels if label.worse]

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values."""
        derived = ("photos", "difference", "new_accuracy", "champion_accuracy")
        values = {**vars(self), **{name: getattr(self, name) for name in derived}}
        labels = [{**label._asdict(), "worse": label.worse} for label in self.labels]
        return {**values, "interval": self.interval._asdict(), "labels": labels}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Comparison":
        """Return the comparison that `to_json` gave these values of."""
        counts = {name: int(values[name]) for name in ("left_out", "both", "only_new", "only_champion", "neither")}
        # Decisions of an earlier version of this project lack the labels.
        found = values.get("labels", ())
        labels = tuple(LabelComparison(*(label[name] for name in LabelComparison._fields)) for label in found)
        return cls(**counts, interval=Bounds(**values["interval"]), p_value=values["p_value"], labels=labels)


@dataclass(frozen=True)
class Decision:
    """A decision on the champion."""

    verdict: Verdict  #: Outcome for the new model.
    model: str  #: Key of the new model.
    champion: str | None  #: Key of the champion after the decision; None if a model is refused and there is none.
    former: str | None  #: Key of the champion before the decision, which may be the same; None if there was none.
    since: dt.date | None  #: Date since which the champion after the decision has been champion; None if there is none.
    reason: str  #: The reason, in one sentence.
    comparison: Comparison | None  #: Comparison of the new model with the champion; None if there was none.
    #: Reason for which the champion stays, with the verdict `stays`, or for which the model is refused, where that is
    #: drift; None otherwise.
    kept_by: KeptBy | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values: the details of the manifest, and `champion` in a run record."""
        return {
            **vars(self),
            "since": self.since.isoformat() if self.since else None,
            "comparison": self.comparison.to_json() if self.comparison else None,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Decision":
        """Return the decision that `to_json` gave these values of.

        Raises:
            StoreError: The values are not those of a decision.
        """
        try:
            if values["verdict"] not in VERDICTS:
                raise ValueError(f"there is no verdict {values['verdict']!r}")
            since, comparison = values["since"], values["comparison"]
            return cls(
                **{name: values[name] for name in ("verdict", "model", "champion", "former", "reason")},
                since=dt.date.fromisoformat(since) if since else None,
                comparison=Comparison.from_json(comparison) if comparison else None,
                # Decisions of an earlier version of this project lack it.
                kept_by=values.get("kept_by"),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise StoreError(
                f"A decision on a champion is damaged ({exc!r}). Make it again: python -m pipeline forget champion, "
                "then the run."
            ) from exc

"""What was decided on a dataset's champion, as the manifest, the run record and the report tell of it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.errors import StoreError
from tasks.runs.records import VERDICTS, Verdict


class Bounds(NamedTuple):
    """The bounds between which a difference of two accuracies lies, each in [-1, 1], and how often such bounds hold."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Comparison:
    """A new model and the champion on the same photos.

    Args:
        left_out: Photos of the test split that are not compared: the champion learnt from them, or has no picture.
        both: Photos on which both are right.
        only_new: Photos on which the new model alone is right.
        only_champion: Photos on which the champion alone is right.
        neither: Photos on which both are wrong.
        interval: Of `difference`.
        p_value: How likely it is that two models of one accuracy differ as much as this, or more.
    """

    left_out: int
    both: int
    only_new: int
    only_champion: int
    neither: int
    interval: Bounds
    p_value: float

    @property
    def photos(self) -> int:
        """How many photos are compared, 1 at least."""
        return self.both + self.only_new + self.only_champion + self.neither

    @property
    def new_accuracy(self) -> float:
        """Share of the photos on which the new model is right."""
        return (self.both + self.only_new) / self.photos

    @property
    def champion_accuracy(self) -> float:
        """Share of the photos on which the champion is right."""
        return (self.both + self.only_champion) / self.photos

    @property
    def difference(self) -> float:
        """Accuracy of the new model minus that of the champion, in [-1, 1]."""
        return (self.only_new - self.only_champion) / self.photos

    @property
    def worse(self) -> bool:
        """Whether the new model is worse beyond the interval."""
        return self.interval.high < 0

    @property
    def better(self) -> bool:
        """Whether the new model is better beyond the interval."""
        return self.interval.low > 0

    def to_json(self) -> dict[str, Any]:
        """Plain Python values."""
        return {
            "photos": self.photos,
            "left_out": self.left_out,
            "both": self.both,
            "only_new": self.only_new,
            "only_champion": self.only_champion,
            "neither": self.neither,
            "difference": self.difference,
            "interval": self.interval._asdict(),
            "p_value": self.p_value,
            "new_accuracy": self.new_accuracy,
            "champion_accuracy": self.champion_accuracy,
        }


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Args:
        verdict: What became of the new model.
        model: Its key.
        champion: Key of the champion after the decision; None where a refused model finds none.
        former: Key of the champion before it, which may be the same one; None where there was none.
        since: The date from which the champion after the decision has been it; None where there is none.
        reason: Why, a sentence for people.
        comparison: Of the new model with the champion; None where there was nothing to compare.
    """

    verdict: Verdict
    model: str
    champion: str | None
    former: str | None
    since: dt.date | None
    reason: str
    comparison: Comparison | None

    def to_json(self) -> dict[str, Any]:
        """Plain Python values: the details of the manifest, and `champion` in a run record."""
        return {
            "verdict": self.verdict,
            "model": self.model,
            "champion": self.champion,
            "former": self.former,
            "since": self.since.isoformat() if self.since else None,
            "reason": self.reason,
            "comparison": self.comparison.to_json() if self.comparison else None,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Decision":
        """Make a decision of what `to_json` gave.

        Raises:
            StoreError: The values are not those of a decision.
        """
        try:
            if values["verdict"] not in VERDICTS:
                raise ValueError(f"there is no verdict {values['verdict']!r}")
            return cls(
                verdict=values["verdict"],
                model=values["model"],
                champion=values["champion"],
                former=values["former"],
                since=dt.date.fromisoformat(values["since"]) if values["since"] else None,
                reason=values["reason"],
                comparison=_comparison(values["comparison"]) if values["comparison"] else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise StoreError(
                f"A decision on a champion is damaged ({exc!r}). Make it again: python -m pipeline forget champion, "
                "then the run."
            ) from exc


def _comparison(values: Mapping[str, Any]) -> Comparison:
    counts = {name: int(values[name]) for name in ("left_out", "both", "only_new", "only_champion", "neither")}
    return Comparison(**counts, interval=Bounds(**values["interval"]), p_value=values["p_value"])

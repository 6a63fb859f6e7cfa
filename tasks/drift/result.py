"""The result of the drift stage, as its manifest, run records and reports hold it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

#: Of runs without drift, at most this share has an alarm, whatever the number of tests (Holm 1979).
LEVEL = 0.01
#: Least effect that counts as a change: "small" in Cohen 1988. Many photos make smaller ones significant too.
LEAST_EFFECT = 0.2


def describe_changes(changes: Sequence[str]) -> str:
    """Return a sentence without its full stop on changes, as `DriftResult.to_json` describes them; empty for none."""
    return f"New photos differ from earlier ones: {'; '.join(changes)}" if changes else ""


class PropertyTest(NamedTuple):
    """Comparison of a property of new and earlier photos."""

    name: str  #: The property, such as "sharpness" or "label tulips".
    kind: Literal["number", "share", "distance"]  #: Kind of the two values.
    #: The new photos' median or share; of a distance, that between the means, in standard deviations.
    new: float
    earlier: float  #: The earlier photos' median or share, in the labels' proportions of the new ones; 0 of a distance.
    effect: float  #: Effect in standard deviations (Cohen's d), of labels Cohen's h; without the direction.
    p_value: float  #: p-value, corrected for the number of tests.

    @property
    def changed(self) -> bool:
        """Whether the photos differ: beyond chance, and not by a trifle."""
        return self.p_value <= LEVEL and self.effect >= LEAST_EFFECT

    @property
    def values(self) -> tuple[str, str]:
        """The values of new and earlier photos for people; of a distance, the second is empty."""
        if self.kind == "distance":
            return f"{self.new:.2f} standard deviations apart", ""
        how = ".0%" if self.kind == "share" else ",.0f" if max(self.new, self.earlier) >= 100 else ".2f"
        new, earlier = (format(value, how).replace("%", " %") for value in (self.new, self.earlier))
        return new, earlier

    def __str__(self) -> str:
        new, earlier = self.values
        return f"{self.name} {new}" + (f" (earlier {earlier})" if earlier else "")


class TypicalPhoto(NamedTuple):
    """A new photo that shows a change."""

    change: str  #: Name of the changed property.
    sha256: str  #: Key of the photo.
    path: str  #: Path in the dataset.
    label: str  #: Label of the photo.


@dataclass(frozen=True)
class DriftResult:
    """Comparison of the new photos of a snapshot with the earlier ones."""

    new: int = 0  #: New photos; 0 where there was nothing to compare.
    earlier: int = 0  #: Earlier photos that the snapshot still has.
    sampled: tuple[int, int] = (0, 0)  #: How many of both were compared, by hash, in labels that both have.
    tests: tuple[PropertyTest, ...] = ()  #: The tests, the clearest first.
    typical: tuple[TypicalPhoto, ...] = ()  #: Some new photos that show the changes.

    @property
    def changes(self) -> list[PropertyTest]:
        """The properties that changed."""
        return [test for test in self.tests if test.changed]

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values: the details of the manifest, also in a run record."""
        tests = [{**test._asdict(), "changed": test.changed} for test in self.tests]
        typical = [photo._asdict() for photo in self.typical]
        return {**asdict(self), "tests": tests, "typical": typical, "changes": list(map(str, self.changes))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DriftResult":
        """Return the result that `to_json` gave these values of."""
        tests = [PropertyTest(*(test[name] for name in PropertyTest._fields)) for test in values["tests"]]
        typical = [TypicalPhoto(**photo) for photo in values["typical"]]
        new, earlier = values["sampled"]
        return cls(values["new"], values["earlier"], (new, earlier), tuple(tests), tuple(typical))

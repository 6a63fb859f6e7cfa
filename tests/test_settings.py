"""Settings read back: what JSON holds of them becomes the very same value again."""

import json
from dataclasses import asdict, dataclass, replace

import pytest

from tasks.settings import settings_from


@dataclass(frozen=True)
class Small:
    """One of two kinds."""

    steps: int


@dataclass(frozen=True)
class Large:
    """The other kind."""

    strengths: tuple[float, ...]
    inner: Small


@dataclass(frozen=True)
class Settings:
    """Settings of all shapes that there are."""

    name: str
    kind: Small | Large
    further: Small | None


@dataclass(frozen=True)
class Outer:
    """Settings around some that have become more."""

    kind: "Small | Grown"


@dataclass(frozen=True)
class Grown:
    """Settings that have got a field since."""

    strength: float
    further: str = "as ever"


SETTINGS = Settings("ä", Large((0.1, 1.0), Small(3)), None)


@pytest.mark.parametrize(
    "settings", [SETTINGS, replace(SETTINGS, kind=Small(1)), replace(SETTINGS, further=Small(2)), SETTINGS.kind]
)
def test_settings_are_read_back_as_they_were(settings: Settings) -> None:
    assert settings_from(type(settings), json.loads(json.dumps(asdict(settings)))) == settings


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"strength": 1.0}, Grown(1.0)),
        ({"strength": 1.0, "further": "new"}, Grown(1.0, "new")),
        ({"steps": 1}, Small(1)),
    ],
)
def test_a_field_that_has_a_default_may_be_missing(values: dict[str, object], kind: Small | Grown) -> None:
    assert settings_from(Outer, {"kind": values}) == Outer(kind)


@pytest.mark.parametrize("values", [{"further": "new"}, {"strength": 1.0, "other": 1}, {}])
def test_a_field_that_has_none_may_not(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no settings of this version have the fields"):
        settings_from(Outer, {"kind": values})


@pytest.mark.parametrize(
    "values",
    [
        {},
        [],
        None,
        {"name": "a", "kind": {"steps": 1}},
        {"name": "a", "kind": {"steps": 1}, "further": None, "more": 1},
        {"name": "a", "kind": {"other": 1}, "further": None},
        {"name": "a", "kind": 3, "further": None},
    ],
)
def test_values_of_other_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        settings_from(Settings, values)

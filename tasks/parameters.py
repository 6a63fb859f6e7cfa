"""Luigi parameters that check their values; their errors name the option and the allowed values."""

import dataclasses
import datetime as dt
import json
import math
from typing import Any, TypeVar
from urllib.parse import urlsplit

import luigi
from luigi.parameter import ParameterVisibility

from tasks.errors import SettingError
from tasks.paths import to_path
from tasks.settings import settings_from

SettingsT = TypeVar("SettingsT")
NumberT = TypeVar("NumberT", bound=float)


class SettingsParameter(luigi.Parameter[SettingsT]):
    """A frozen dataclass of settings, as JSON on the command line and on Luigi's web page."""

    def __init__(self, kind: type[SettingsT], *, description: str = "Settings, as JSON.", **keywords: Any) -> None:
        super().__init__(description=description, **keywords)
        self._kind = kind

    def parse(self, x: str) -> SettingsT:
        """Parse JSON; raises `SettingError` if it does not describe these settings."""
        try:
            return settings_from(self._kind, json.loads(x))
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise SettingError(
                f"{_option(self)} is {x!r}; it takes all fields of {self._kind.__name__} as JSON ({exc})."
            ) from exc

    def serialize(self, x: Any) -> str:
        """Write JSON."""
        return json.dumps(dataclasses.asdict(x), sort_keys=True)


class NumberParameter(luigi.Parameter[NumberT]):
    """A whole or real number with inclusive bounds; a real number up to 1 may be given in per cent."""

    def __init__(self, kind: type[NumberT], least: NumberT, most: NumberT | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._kind, self._least, self._most = kind, least, most

    def parse(self, x: str) -> NumberT:
        """Parse a number; raises `SettingError` for other text."""
        number, share, rest = x.partition("%")
        try:
            if share and not rest and self._kind is float and self._most == 1:
                return self._kind(float(number) / 100)
            return self._kind(x)
        except ValueError as exc:
            raise SettingError(f"{_option(self)} is {x!r}; it takes {self._range()}.") from exc

    def normalize(self, x: NumberT) -> NumberT:
        """Check the bounds; raises `SettingError` beyond them. RangeDaily passes values of JSON, such as text."""
        x = self.parse(str(x))
        # Not `math.isfinite`, which overflows on a whole number of 400 digits; nan fails the first comparison.
        if not self._least <= x < math.inf or (self._most is not None and x > self._most):
            raise SettingError(f"{_option(self)} is {x}; it takes {self._range()}.")
        return x

    def _range(self) -> str:
        kind = "a whole number" if self._kind is int else "a number"
        return f"{kind} of at least {self._least}" + ("" if self._most is None else f" and at most {self._most}")


class NumbersParameter(luigi.Parameter[tuple[float, ...]]):
    """One or more real numbers, separated by commas, with inclusive bounds."""

    def __init__(self, least: float, most: float = math.inf, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._least, self._most = least, most

    def parse(self, x: str) -> tuple[float, ...]:
        """Parse numbers; raises `SettingError` for other text."""
        try:
            return tuple(float(part) for part in x.split(","))
        except ValueError as exc:
            raise SettingError(f"{_option(self)} is {x!r}; it takes numbers with commas between them.") from exc

    def serialize(self, x: Any) -> str:
        """Write the numbers in the form that `parse` reads."""
        return ",".join(repr(number).removesuffix(".0") for number in x)

    def normalize(self, x: tuple[float, ...]) -> tuple[float, ...]:
        """Check the bounds; raises `SettingError` beyond them. RangeDaily passes values of JSON, such as text."""
        x = self.parse(x if isinstance(x, str) else ",".join(map(str, x)))
        if not x or not all(math.isfinite(number) and self._least <= number <= self._most for number in x):
            most = "" if self._most == math.inf else f" and at most {self._most:g}"
            raise SettingError(
                f"{_option(self)} is {self.serialize(x)!r}; it takes numbers of at least {self._least:g}{most}."
            )
        return x


class SizesParameter(luigi.Parameter[tuple[int, ...]]):
    """One or more whole numbers above zero, separated by commas; `all` is 0."""

    def parse(self, x: str) -> tuple[int, ...]:
        """Parse sizes; raises `SettingError` for other text."""
        try:
            return tuple(0 if part.strip() == "all" else int(part) for part in x.split(","))
        except ValueError as exc:
            raise self._error(x) from exc

    def serialize(self, x: Any) -> str:
        """Write the sizes in the form that `parse` reads."""
        return ",".join("all" if size == 0 else str(size) for size in x)

    def normalize(self, x: tuple[int, ...]) -> tuple[int, ...]:
        """Check the sizes; raises `SettingError` for a negative one, a repeated one, or none."""
        x = self.parse(x if isinstance(x, str) else self.serialize(x))
        if min(x, default=-1) < 0 or len(set(x)) < len(x):
            raise self._error(self.serialize(x))
        return x

    def _error(self, text: str) -> SettingError:
        return SettingError(f"{_option(self)} is {text!r}; it takes different whole numbers above zero, or all.")


class ChoiceParameter(luigi.Parameter[str]):
    """One of several words."""

    def __init__(self, *words: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._words = words

    def normalize(self, x: str) -> str:
        """Check the word; raises `SettingError` for another. RangeDaily passes values of JSON, such as numbers."""
        word = str(x)
        if word not in self._words:
            raise SettingError(f"{_option(self)} is {word!r}; it takes {' or '.join(self._words)}.")
        return word


class FolderParameter(luigi.Parameter[str]):
    """A folder, on this machine or on an object store."""

    def normalize(self, x: str) -> str:
        """Check the address of an object store; raises `SettingError` for an invalid one."""
        try:
            to_path(x)
        except SettingError as exc:
            raise SettingError(f"{_option(self)}: {exc}") from exc
        return x


class SecretUrlParameter(luigi.Parameter[str]):
    """A URL of http or https that only this process knows: Luigi hands it to no scheduler and writes it nowhere."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(default="", significant=False, visibility=ParameterVisibility.PRIVATE, **keywords)

    def normalize(self, x: str) -> str:
        """Check the URL; raises `SettingError`, whose message and traceback do not quote it, for another text."""
        if x and not _is_web_address(x):
            raise SettingError(f"{_option(self)} is no URL of the form https://host/path. Correct it.")
        return x


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and " " not in text


class DayParameter(luigi.DateParameter):
    """A date."""

    def parse(self, x: str) -> dt.date:
        """Parse YYYY-MM-DD; raises `SettingError` for other text."""
        try:
            return dt.date.fromisoformat(x)
        except ValueError as exc:
            raise SettingError(f"{_option(self)} is {x!r}; it takes a date as YYYY-MM-DD.") from exc


def _option(parameter: luigi.Parameter[Any]) -> str:
    return "--" + str(parameter._attribute_name).replace("_", "-")  # noqa: SLF001 (Luigi has no public name for it)

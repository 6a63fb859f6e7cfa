"""Parameters read text, check their bounds, and name their option in errors."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import luigi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SettingError
from tasks.parameters import (
    ChoiceParameter,
    DayParameter,
    NumberParameter,
    NumbersParameter,
    SecretUrlParameter,
    SettingsParameter,
    SizesParameter,
)


@dataclass(frozen=True)
class Picture:
    """Settings inside others."""

    size: int
    encoding: str


@dataclass(frozen=True)
class Vector:
    """Other settings of the same field."""

    width: int


@dataclass(frozen=True)
class Recipe:
    """Settings with fields of every kind."""

    picture: Picture | Vector
    thumbnail: Picture | None
    l2: tuple[float, ...]
    name: str
    licence: str | None
    seed: int = 0


RECIPE = Recipe(Picture(288, "jpeg"), Picture(9, "png"), (0.003, 0.1), "Größe", None, 7)


class Settings(luigi.Task):
    """A task with a parameter of each kind."""

    batch_size: NumberParameter[int] = NumberParameter(int, 1, default=128)
    max_rejected: NumberParameter[float] = NumberParameter(float, 0, 1, default=0.05)
    weight_decay: NumbersParameter = NumbersParameter(0, default=(0.1,))
    layer_weights: NumbersParameter = NumbersParameter(0, 1, default=(1.0,))
    views: ChoiceParameter = ChoiceParameter("1", "2", default="2")
    photo_counts: SizesParameter = SizesParameter(default=(5, 0))
    image_encoding: ChoiceParameter = ChoiceParameter("jpeg", "png", default="jpeg")
    first_day: DayParameter = DayParameter(default=dt.date(2026, 1, 31))
    train_recipe: SettingsParameter[Recipe] = SettingsParameter(Recipe, default=RECIPE)


def read(**texts: str) -> Settings:
    """Read parameters from text, as the command line does."""
    return Settings.from_str_params(texts)  # type: ignore[no-any-return]  # Luigi's has no types


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(("batch_size", text, value) for text, value in (("1", 1), ("  64 ", 64), ("9" * 400, int("9" * 400)))),
        *(("max_rejected", text, value) for text, value in (("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001))),
        *(("max_rejected", text, value) for text, value in (("20%", 0.2), ("5 %", 0.05))),
        *(("weight_decay", text, value) for text, value in (("0", (0.0,)), ("0.1,1e-3", (0.1, 0.001)))),
        ("weight_decay", "1, 2", (1.0, 2.0)),
        *(("image_encoding", word, word) for word in ("jpeg", "png")),
        ("first_day", "2024-02-29", dt.date(2024, 2, 29)),
        *(("photo_counts", text, value) for text, value in (("5,20, all", (5, 20, 0)), ("all", (0,)), ("7", (7,)))),
    ],
)
def test_text_is_read(name: str, text: str, value: object) -> None:
    assert getattr(read(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "texts", "allowed"),
    [
        ("batch_size", ["0", "-1", "2.5", "1e3", "many", "", "9" * 5000], "a whole number of at least 1."),
        (
            "max_rejected",
            ["-0.01", "1.01", "nan", "inf", "-inf", "101 %", "-1%", "%", "5%%", "5 % of it", ""],
            "a number of at least 0 and at most 1.",
        ),
        ("weight_decay", ["", "0.1,", "0.1;0.2", "0.1,-0.2", "nan", "0.1,inf"], "numbers "),
        ("layer_weights", ["1.5", "0.5,2", "-0.1,1"], "numbers of at least 0 and at most 1."),
        ("image_encoding", ["gif", "JPEG", "jpe", ""], "jpeg or png."),
        (
            "photo_counts",
            ["", "5,", "-1", "2.5", "5,5", "all,0", "many"],
            "different whole numbers above zero, or all.",
        ),
        ("first_day", ["yesterday", "2026-02-30", "31.01.2026", ""], "a date as YYYY-MM-DD."),
        ("train_recipe", ["", "{", "{}", "[1]", "null", "3", '"x"'], "all fields of Recipe as JSON"),
    ],
)
def test_other_text_is_refused_with_the_option_and_the_allowed_values(
    name: str, texts: list[str], allowed: str
) -> None:
    option = "--" + name.replace("_", "-")
    for text in texts:
        with pytest.raises(SettingError, match=rf"^{option} is .*; it takes {re.escape(allowed)}"):
            read(**{name: text})


def test_choice_may_be_passed_as_a_number() -> None:
    """RangeDaily does so."""
    assert Settings(views=1).views == "1"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_rejected", 2, r"^--max-rejected is 2(\.0)?; "),
        ("views", 3, r"^--views is '3'; it takes 1 or 2\.$"),
        ("weight_decay", (), "^--weight-decay is ''"),
    ],
)
def test_value_that_python_passes_is_checked(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Settings(**{name: value})


@given(
    batch_size=st.integers(1, 10**30),
    max_rejected=st.floats(0, 1),
    weight_decay=st.lists(st.floats(0, 1e300), min_size=1).map(tuple),
    photo_counts=st.lists(st.integers(0, 10**30), min_size=1, unique=True).map(tuple),
    image_encoding=st.sampled_from(["jpeg", "png"]),
    first_day=st.dates(dt.date(1900, 1, 1)),
    train_recipe=st.builds(
        Recipe,
        st.builds(Picture, st.integers(), st.text()) | st.builds(Vector, st.integers()),
        st.none() | st.builds(Picture, st.integers(), st.text()),
        st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
        st.text(),
        st.none() | st.text(),
        st.integers(),
    ),
)
def test_every_parameter_survives_a_round_trip_through_text(**values: Any) -> None:
    task = Settings(**values)
    again = Settings.from_str_params(task.to_str_params())
    assert {name: getattr(again, name) for name in values} == values
    assert again.task_id == task.task_id


class Secret(luigi.Task):
    """A task with a secret."""

    url: SecretUrlParameter = SecretUrlParameter()


def test_a_secret_url_is_neither_in_the_text_nor_in_the_id_nor_in_the_parameters_of_a_task() -> None:
    task = Secret(url="https://me:T0K3N@host:8443/T0K3N?key=T0K3N")
    assert task.url.count("T0K3N") == 3
    assert "T0K3N" not in f"{task} {task.task_id} {task.to_str_params()}"
    assert task == Secret()


@pytest.mark.parametrize(
    "url", ["T0K3N", "ftp://T0K3N", "https://", "http://host:T0K3N", "http://[T0K3N", "http://T0 K3N"]
)
def test_another_secret_is_refused_without_a_quotation(url: str) -> None:
    with pytest.raises(SettingError) as refused:
        Secret(url=url)
    assert str(refused.value) == "--url is no URL of the form https://host/path. Correct it."
    assert refused.value.__cause__ is refused.value.__context__ is None

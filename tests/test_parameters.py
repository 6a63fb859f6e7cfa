"""Parameters read text, check their bounds, and name their option in errors."""

import datetime as dt
import json
from dataclasses import asdict, dataclass
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


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("  64 ", 64), ("1000000", 1_000_000)])
def test_whole_number_is_read(text: str, value: int) -> None:
    assert read(batch_size=text).batch_size == value


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "1e3", "many", "", "9" * 5000])
def test_other_text_for_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--batch-size is .*; it takes a whole number of at least 1\.$"):
        read(batch_size=text)


def test_whole_number_without_an_upper_bound_may_be_large() -> None:
    assert read(batch_size="9" * 400).batch_size == int("9" * 400)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001), ("20%", 0.2), ("5 %", 0.05)]
)
def test_real_number_is_read(text: str, value: float) -> None:
    assert read(max_rejected=text).max_rejected == value


@pytest.mark.parametrize("text", ["-0.01", "1.01", "nan", "inf", "-inf", "101 %", "-1%", "%", "5%%", "5 % of it", ""])
def test_other_text_for_a_real_number_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--max-rejected is .*; it takes a number of at least 0 and at most 1\.$"):
        read(max_rejected=text)


def test_number_that_python_passes_is_checked() -> None:
    with pytest.raises(SettingError, match=r"^--max-rejected is 2(\.0)?; "):
        Settings(max_rejected=2)


@pytest.mark.parametrize(("text", "values"), [("0", (0.0,)), ("0.1,1e-3", (0.1, 0.001)), ("1, 2", (1.0, 2.0))])
def test_numbers_are_read_in_order(text: str, values: tuple[float, ...]) -> None:
    assert read(weight_decay=text).weight_decay == values


@pytest.mark.parametrize("text", ["", "0.1,", "0.1;0.2", "0.1,-0.2", "nan", "0.1,inf"])
def test_other_text_for_numbers_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--weight-decay is '.*'; it takes numbers "):
        read(weight_decay=text)


@pytest.mark.parametrize("text", ["1.5", "0.5,2", "-0.1,1"])
def test_numbers_beyond_the_bounds_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--layer-weights is .*; it takes numbers of at least 0 and at most 1\.$"):
        read(layer_weights=text)


def test_choice_may_be_passed_as_a_number() -> None:
    """RangeDaily does so."""
    assert Settings(views=1).views == "1"  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"^--views is '3'; it takes 1 or 2\.$"):
        Settings(views=3)  # type: ignore[arg-type]


def test_numbers_must_not_be_empty() -> None:
    with pytest.raises(SettingError, match="--weight-decay is ''"):
        Settings(weight_decay=())


@pytest.mark.parametrize("word", ["jpeg", "png"])
def test_choice_is_read(word: str) -> None:
    assert read(image_encoding=word).image_encoding == word


@pytest.mark.parametrize("word", ["gif", "JPEG", "jpe", ""])
def test_other_choice_is_refused_with_all_choices(word: str) -> None:
    with pytest.raises(SettingError, match=f"^--image-encoding is '{word}'; it takes jpeg or png.$"):
        read(image_encoding=word)


def test_date_is_read() -> None:
    assert read(first_day="2024-02-29").first_day == dt.date(2024, 2, 29)


@pytest.mark.parametrize(("text", "value"), [("5,20, all", (5, 20, 0)), ("all", (0,)), ("7", (7,))])
def test_sizes_are_read(text: str, value: tuple[int, ...]) -> None:
    assert read(photo_counts=text).photo_counts == value


@pytest.mark.parametrize("text", ["", "5,", "-1", "2.5", "5,5", "all,0", "many"])
def test_other_text_for_sizes_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--photo-counts is '.*'; it takes different whole numbers above zero, or"):
        read(photo_counts=text)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "31.01.2026", ""])
def test_other_text_for_a_date_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--first-day is '.*'; it takes a date as YYYY-MM-DD\.$"):
        read(first_day=text)


def test_settings_are_read_with_nested_dataclasses_and_tuples() -> None:
    text = '{"picture": {"width": 64}, "thumbnail": null, "l2": [0.5], "name": "x", "licence": null}'
    assert read(train_recipe=text).train_recipe == Recipe(Vector(64), None, (0.5,), "x", None, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"picture": {"size": 64}},
        {"picture": {"size": 64, "encoding": "png", "more": 1}},
        {"picture": 64},
        {"picture": None},
        {"thumbnail": {"width": 64}},
    ],
)
def test_settings_with_other_fields_are_refused(change: dict[str, Any]) -> None:
    text = json.dumps(asdict(RECIPE) | change)
    with pytest.raises(SettingError, match=r"^--train-recipe is '.*'; it takes all fields of Recipe as JSON"):
        read(train_recipe=text)


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", "null", "3", '"x"'])
def test_other_text_for_settings_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--train-recipe is '.*'; it takes all fields of Recipe as JSON"):
        read(train_recipe=text)


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

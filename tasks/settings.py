"""Settings read back from the JSON that the data root keeps of them."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

SettingsT = TypeVar("SettingsT")


def settings_from(kind: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
    """Restore settings from the JSON of `dataclasses.asdict`.

    Args:
        kind: The dataclass; its fields may be dataclasses, or one of several, and tuples.
        values: The fields as JSON has them; those that have a default may be missing.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: The values are not those of such settings.
    """
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    options = typing.get_args(hint) or (hint,)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(options[0], each) for each in value)
    kinds = [kind for kind in options if dataclasses.is_dataclass(kind)]
    if not kinds or (value is None and type(None) in options):
        return tuple(value) if isinstance(value, list) else value
    # Of several dataclasses it is the one that has these very fields.
    fitting = [kind for kind in kinds if _fits(kind, set(value))]
    if len(fitting) != 1:
        raise ValueError(f"no settings of this version have the fields {', '.join(sorted(value))}")
    return settings_from(typing.cast("type[Any]", fitting[0]), value)


def _fits(kind: Any, names: set[str]) -> bool:
    """Whether a dataclass has fields of these names; one with a default may be younger than what JSON holds."""
    fields = dataclasses.fields(kind)
    needed = {field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING}
    return needed <= names <= {field.name for field in fields}

"""Splits that a dataset gives its photos."""

import re

#: The usual names of each split, in any case.
_NAMES = {
    "train": r"train(ing)?",
    "validation": r"val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?",
    "test": r"test(ing)?|hold[ _-]?out",
}
_SUFFIX = r"([ _-]?(set|split|data|images|photos))?"
_PATTERNS = {split: re.compile(f"({names}){_SUFFIX}", re.IGNORECASE) for split, names in _NAMES.items()}


def to_split(name: str) -> str | None:
    """Find the split that a folder, a file or a table calls by a name such as `val`; None for any other name."""
    return next((split for split, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)

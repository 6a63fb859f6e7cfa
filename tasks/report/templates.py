"""Jinja environment of all pages: templates, style, and the formats of numbers."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tasks.runs.records import Verdict

#: Verdicts as tables show them; records of an earlier version of this project have none.
VERDICT_WORDS: Mapping[Verdict | None, str] = {
    "first": "first champion",
    "new": "new champion",
    "same": "same model",
    "stays": "champion stays",
    "refused": "refused",
    None: "none",
}

_NO_BREAK_SPACE = "\u00a0"
_MINUS = "\u2212"


@cache
def page_environment(package: str = "tasks.report") -> Environment:
    """Return the environment with the templates of a package and of this one, and the filters of all pages."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("tasks.report", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "percent": lambda share: f"{100 * share:.1f}{_NO_BREAK_SPACE}%",
        "points": _points,
        "score": lambda score: "—" if score is None else f"{score:.3f}",
        "duration": _duration,
        "counted": lambda count, noun: f"{count:,} {noun}{'' if count == 1 else 's'}",
        "verdict_word": VERDICT_WORDS.__getitem__,
        "csp_hash": _csp_hash,
    }
    return environment


def load_templates() -> None:
    """Compile the templates of this package, which stay in its environment."""
    environment = page_environment()
    for name in environment.list_templates(extensions=["j2"]):
        environment.get_template(name)


def _points(difference: float) -> str:
    """Format a difference of shares in percentage points, with its sign unless it rounds to 0."""
    points = f"{100 * difference:+.1f}"
    return "0.0" if float(points) == 0 else points.replace("-", _MINUS)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}{_NO_BREAK_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,}{_NO_BREAK_SPACE}min {rest}{_NO_BREAK_SPACE}s"


def _csp_hash(text: str) -> str:
    """Return the source expression of an inline style or script (Content Security Policy 3, 6.7.2.3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"

"""What a run says on standard output: one line an event, for people or, as JSON, for programs."""

import datetime as dt
import json
import sys
from typing import Literal

from tqdm import tqdm

Form = Literal["text", "json"]

_form: Form = "text"


def write_as(form: Form) -> None:
    """Choose how this process, and those that it forks from now on, write events.

    Args:
        form: `text` is for people: the text of each event that has one. `json` is one object a line for each event.
    """
    global _form  # noqa: PLW0603 (standard output is the process's too)
    _form = form


def emit(event: str, text: str | None, **fields: object) -> None:
    """Write an event, above the live line where there is one.

    Args:
        event: What happened, as a word.
        text: For people; None where the event is of no interest to them.
        **fields: What a program would want to know: stage, key, counts. All that JSON knows, else as text.
    """
    if _form == "text":
        line = text
    else:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        told = {} if text is None else {"text": text}
        line = json.dumps({"time": now, "event": event, **fields, **told}, ensure_ascii=False, default=str)
    if line is not None:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

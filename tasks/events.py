"""What a run says on standard output: one line an event, for people or, as JSON, for programs."""

import datetime as dt
import json
import os
import sys
from typing import Literal

from tqdm import tqdm

LogFormat = Literal["text", "json"]

_form: LogFormat = "text"


def set_format(form: LogFormat) -> None:
    """Choose how this process, and those that it forks from now on, write events.

    Args:
        form: `text` is for people: the text of each event that has one. `json` is one object a line for each event.
    """
    global _form  # noqa: PLW0603 (standard output is the process's too)
    _form = form


def escape_control_characters(text: str) -> str:
    """Write what a terminal could take for a command, such as a line's end in a file's name, as Python notes it."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def escape_lines(text: str) -> str:
    """As `escape_control_characters`, for a text of several lines."""
    return "\n".join(map(escape_control_characters, text.split("\n")))


def emit(event: str, text: str | None, **fields: object) -> None:
    """Write an event, above the live line where there is one.

    Args:
        event: What happened, as a word.
        text: For people; None where the event is of no interest to them.
        **fields: What a program would want to know: stage, key, counts. All that JSON knows, else as text.
    """
    encoding = sys.stdout.encoding or "utf-8"
    if _form == "text":
        line = None if text is None else escape_lines(text)
    else:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        told = {} if text is None else {"text": text}
        known = {"time": now, "event": event, **fields, **told}
        line = escape_control_characters(json.dumps(known, ensure_ascii=encoding.lower() != "utf-8", default=str))
    if line is not None:
        try:
            # A path that is not UTF-8 holds lone surrogates; written as \\udcXX they are JSON's own notation for them.
            tqdm.write(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            # The reader has closed the pipe (`| head`), or the log's disk is full: the run goes on without output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Events on standard output: one line each, as text for people or as JSON for programs."""

import datetime as dt
import json
import os
import sys

from tqdm import tqdm

_form = "text"


def set_format(form: str) -> None:
    """Write events as `text`, where they have one, or as `json`, one object a line; forks do likewise."""
    global _form  # noqa: PLW0603 (standard output is global too)
    _form = form


def escape_control_characters(text: str) -> str:
    """Escape control characters, such as a line break in a file's name."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def escape_lines(text: str) -> str:
    """Escape control characters in each line of a text."""
    return "\n".join(map(escape_control_characters, text.split("\n")))


def emit(event: str, text: str | None, **fields: object) -> None:
    """Write an event, above a live line.

    Args:
        event: Name of the event.
        text: Text for people; None for an event that only programs need.
        **fields: Values for programs, such as stage, key and counts; those that JSON does not know as text.
    """
    encoding = sys.stdout.encoding or "utf-8"
    if _form == "text":
        line = None if text is None else escape_lines(text)
    else:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        values = {"time": now, "event": event, **fields, **({} if text is None else {"text": text})}
        line = escape_control_characters(json.dumps(values, ensure_ascii=encoding.lower() != "utf-8", default=str))
    if line is not None:
        try:
            # A path that is not UTF-8 holds lone surrogates, which JSON too writes as \\udcXX.
            tqdm.write(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            # The reader has closed the pipe (`| head`), or the log's disk is full: the run continues without output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Events are written as text for people, and as JSON for programs."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.events import emit, set_format
from tests.support.processes import TIMEOUT, read_line, run, running

SCRIPT = """
import sys
from tasks.events import emit, set_format

set_format(sys.argv[1])
for number in range(20_000):
    emit("told", f"line {number}", number=number)
print("continued", file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def _reset_format() -> Iterator[None]:
    yield
    set_format("text")


def test_text_format_writes_the_text_of_events_that_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    emit("stage_started", None, stage="decode")
    emit("stage_done", "decode  3 new", stage="decode", new=3)
    assert capsys.readouterr().out == "decode  3 new\n"


def test_json_format_writes_one_object_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    set_format("json")
    emit("stage_started", None, stage="decode")
    emit("run_done", "two\nlines of 日光", record=Path("data/x.json"), photos=3)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    times = [dt.datetime.fromisoformat(event.pop("time")) for event in (first, second)]
    assert dt.timedelta(0) <= times[1] - times[0] < dt.timedelta(minutes=1)
    assert times[0].utcoffset() == dt.timedelta(0)
    assert first == {"event": "stage_started", "stage": "decode"}
    assert second == {"event": "run_done", "record": "data/x.json", "photos": 3, "text": "two\nlines of 日光"}


def test_path_that_is_not_utf_8_is_escaped_and_json_keeps_its_bytes(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    emit("damaged", "the photo \udcff.jpg", path="\udcff.jpg")
    set_format("json")
    emit("damaged", None, path="a\nb\u2028\udcff")
    text, line = capsysbinary.readouterr().out.splitlines()
    assert text == b"the photo \\udcff.jpg"
    assert json.loads(line)["path"] == "a\nb\u2028\udcff"


@pytest.mark.parametrize("form", ["text", "json"])
def test_text_beyond_the_output_s_encoding_is_escaped(form: str) -> None:
    script = f"from tasks.events import *; set_format('{form}'); emit('told', 'é 日 \U0001f33b')"
    written = run([sys.executable, "-c", script], {**os.environ, "PYTHONIOENCODING": "ascii"}).output
    if form == "json":
        assert json.loads(written)["text"] == "é 日 \U0001f33b"
    else:
        assert written == "\\xe9 \\u65e5 \\U0001f33b\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_process_continues_when_its_output_is_closed(form: str) -> None:
    with running([sys.executable, "-c", SCRIPT, form], stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert "line 0" in read_line(process)
        process.stdout.close()
        assert process.communicate(timeout=TIMEOUT)[1] == "continued\n"
    assert process.returncode == 0

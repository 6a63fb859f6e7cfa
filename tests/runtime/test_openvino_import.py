"""OpenVINO is imported without its telemetry: nothing is sent, and the home folder stays empty."""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

#: Tells every connection and look-up of a name that is tried, by whatever thread, and lets none through.
WATCHING = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(1, f"{event} {arguments[1:]}\\n".encode())
        raise OSError("The test lets nothing through.")

sys.addaudithook(watch)
"""
IMPORTING = """
from tasks.runtime.openvino_import import ov

assert ov.Core().available_devices
"""
CONVERTING = """
from tasks.bottleneck.openvino_network import convert_network

convert_network(lambda pixels: pixels[:, 0, 0], 4)
"""
TELEMETRY = any(distribution.name == "openvino-telemetry" for distribution in distributions())
AS_IT_COMES = """
import openvino, time

time.sleep(5)
"""


def run_watched(script: str, home: Path) -> list[str]:
    """Run a script with an empty home folder, as if not in CI, where telemetry is off; returns what it tried."""
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    done = subprocess.run(
        [sys.executable, "-c", WATCHING + script],
        cwd=REPOSITORY,
        env={**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    return done.stdout.splitlines()


def test_importing_tries_no_connection_and_leaves_the_home_folder_empty(tmp_path: Path) -> None:
    assert run_watched(IMPORTING, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_converting_tries_no_connection_and_writes_nothing_of_openvino_s_into_the_home_folder(tmp_path: Path) -> None:
    assert run_watched(CONVERTING, tmp_path) == []
    assert not (tmp_path / "intel").exists()


@pytest.mark.skipif(not TELEMETRY, reason="Without its telemetry, OpenVINO does nothing anyway.")
def test_the_watch_would_have_seen_what_openvino_does_as_it_comes(tmp_path: Path) -> None:
    assert run_watched(AS_IT_COMES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["intel"]

"""OpenVINO is imported without its telemetry: it sends nothing, and the home folder stays empty."""

import os
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.support.processes import run

pytestmark = pytest.mark.slow

#: Prints and refuses every attempt of any thread to connect or to resolve a name.
WATCH = """
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(1, f"{event} {arguments[1:]}\\n".encode())
        raise OSError("The test refuses connections.")

sys.addaudithook(refuse)
"""
IMPORT = """
from tasks.runtime.openvino_import import ov

assert ov.Core().available_devices
"""
CONVERT = """
from tasks.bottleneck.openvino_forward import convert_network

convert_network(lambda pixels: pixels[:, 0, 0], 4)
"""
TELEMETRY = any(distribution.name == "openvino-telemetry" for distribution in distributions())
IMPORT_PLAIN = """
import openvino, time

time.sleep(5)
"""


def run_watched(script: str, home: Path) -> list[str]:
    """Run a script with an empty home folder, outside CI, where telemetry is off; returns its attempts to connect."""
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = run([sys.executable, "-c", WATCH + script], environment)
    assert done.code == 0, done.errors
    return done.output.splitlines()


@pytest.mark.parametrize("script", [IMPORT, CONVERT], ids=["import", "conversion"])
def test_it_connects_nowhere_and_writes_no_identity_into_the_home_folder(script: str, tmp_path: Path) -> None:
    assert run_watched(script, tmp_path) == []
    assert not (tmp_path / "intel").exists()
    assert script == CONVERT or list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not TELEMETRY, reason="OpenVINO is installed without its telemetry.")
def test_plain_import_of_openvino_would_connect_and_write_an_identity(tmp_path: Path) -> None:
    assert run_watched(IMPORT_PLAIN, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["intel"]

"""A real object store for tests: SeaweedFS on this machine, which tests may stop and start again."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from upath import UPath

BUCKET = "bucket"
_ACCESS_KEY, _SECRET_KEY = "made-up-key", "made-up-secret-never-to-be-shown"
_IDENTITIES = f"""{{"identities": [{{"name": "tests",
    "credentials": [{{"accessKey": "{_ACCESS_KEY}", "secretKey": "{_SECRET_KEY}"}}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"""
#: What is served, each on a port of its own, and in another way on the one so far above it.
_SERVED = ("s3", "master", "volume", "filer")
_GRPC = 10_000
#: Runs a command for as long as somebody has the other end of its standard input: that is gone even with a killed test.
_UNTIL_KILLED = '"$0" "$@" & cat > /dev/null; kill -9 $!'
#: Seconds that a start may take on a busy machine.
_START = 90.0


class ObjectStore:
    """A server of S3 requests with a folder of its own, and one bucket.

    Args:
        folder: Where it keeps what it is given; a short path, since sockets lie there.
    """

    #: What must not be in any message.
    secret = _SECRET_KEY

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(_SERVED, _free_ports(len(_SERVED)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        (folder / "identities.json").write_text(_IDENTITIES)
        self.environment = {
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
            # Nothing of whoever runs the tests, and no asking a cloud's machine who it is.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def port(self) -> int:
        """Where it answers S3 requests."""
        return self._ports["s3"]

    @property
    def address(self) -> str:
        """The same as a URL."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """The address of a file or folder that nobody has asked for before: another one at each call."""
        return f"s3://{BUCKET}/{secrets.token_hex(6)}/{name}"

    def start(self) -> None:
        """Start it on the same folder and ports as before; it answers when this returns."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _UNTIL_KILLED, *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START
        while not self._takes_files():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"SeaweedFS does not start:\n{(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once; what it has taken stays."""
        if self._process is not None:
            with self._process:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None
        for name, port in self._ports.items():
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + _GRPC}.sock").unlink(missing_ok=True)  # noqa: S108 (not ours to choose)

    def _command(self) -> list[str]:
        return [
            str(Path(sys.executable).with_name("weed")),
            "-logtostderr",
            *("server", "-s3", f"-s3.config={self._folder / 'identities.json'}", "-s3.autoCreateBucket=false"),
            *("-ip=127.0.0.1", f"-dir={self._folder / 'data'}"),
            *(f"-{name}.port={port}" for name, port in self._ports.items()),
            *(f"-{name}.localSocket={self._folder / name}.sock" for name in ("s3", "filer")),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"),
            # Else it waits ten seconds for other masters when it starts again.
            *("-master.electionTimeout=1s", "-master.volumeSizeLimitMB=100", "-volume.max=20"),
        ]

    def _takes_files(self) -> bool:
        """Whether a file can be put into the bucket, which is made; its parts are not all there at the same time."""
        try:
            httpx.get(f"{self.address}/healthz", timeout=5)
        except httpx.HTTPError:
            return False
        bucket = UPath(
            f"s3://{BUCKET}",
            key=_ACCESS_KEY,
            secret=_SECRET_KEY,
            endpoint_url=self.address,
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        try:
            bucket.mkdir(exist_ok=True)
            (bucket / ".started").write_bytes(b"")
        except OSError:
            return False
        return True


@contextlib.contextmanager
def serving() -> Iterator[ObjectStore]:
    """A started server; it and its folder are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    try:
        store = ObjectStore(folder)
        try:
            store.start()
            yield store
        finally:
            store.stop()
    finally:
        shutil.rmtree(folder)


def forget_stores() -> None:
    """Let the library look again how stores are reached: it remembers, whatever becomes of the environment."""
    type(UPath(f"s3://{BUCKET}").fs).clear_instance_cache()


def other_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Go on as on a machine that has nothing in scratch."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def _free_ports(count: int) -> list[int]:
    """Ports that are free with those above them; none is one that the system gives to whoever asks for any."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(10_000, 20_000), 2000):
        if _is_free(port) and _is_free(port + _GRPC):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("No free ports for SeaweedFS")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

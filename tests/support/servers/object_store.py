"""A real object store for tests: SeaweedFS on this machine, which tests may stop and start again."""

import contextlib
import json
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
#: Services, each on a port of its own, and on another one for gRPC, so far above it.
_SERVED = ("s3", "master", "volume", "filer")
_GRPC = 10_000
#: Runs a command until the other end of its standard input is closed, as it is even when a test is killed.
_UNTIL_KILLED = 'exec 3<&0; "$0" "$@" 3<&- & child=$!; (cat <&3 >/dev/null; kill -9 $child) & wait $child'
#: Seconds that a start may take on a busy machine.
_START = 180.0
_TRIES = 3


class _NotStartedError(Exception):
    """SeaweedFS has ended, or does not answer."""


class ObjectStore:
    """A server of S3 requests with a folder of its own, and one bucket.

    Args:
        folder: Folder of its files; a short path, since sockets lie there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(_SERVED, _free_ports(len(_SERVED)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        # Of this server only, so that no test mistakes another server on these ports for it.
        key = f"made-up-key-{secrets.token_hex(4)}"
        #: Must not be in any message.
        self.secret = f"made-up-secret-never-to-be-shown-{secrets.token_hex(4)}"
        (folder / "identities.json").write_text(_identities(key, self.secret))
        self.environment = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
            # No settings of the user, and no requests to the metadata service of a cloud.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def port(self) -> int:
        return self._ports["s3"]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """A new address of a file or folder at each call."""
        return f"s3://{BUCKET}/{secrets.token_hex(6)}/{name}"

    def start(self) -> None:
        """Start the server on its folder and ports; it answers when this returns."""
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
                raise _NotStartedError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the server; its files stay."""
        if self._process is not None:
            # It has ended by itself where its ports were taken.
            with self._process, contextlib.suppress(ProcessLookupError):
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
            # Otherwise a restart waits ten seconds for other masters.
            *("-master.electionTimeout=1s", "-master.volumeSizeLimitMB=100", "-volume.max=20"),
        ]

    def _takes_files(self) -> bool:
        """Make the bucket, and return whether a file can be put into it; the services start one by one."""
        try:
            httpx.get(f"{self.address}/healthz", timeout=5)
        except httpx.HTTPError:
            return False
        bucket = UPath(
            f"s3://{BUCKET}",
            key=self.environment["AWS_ACCESS_KEY_ID"],
            secret=self.secret,
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
    """Start a server, and remove it and its folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    try:
        store = _started(folder)
        try:
            yield store
        finally:
            store.stop()
    finally:
        shutil.rmtree(folder)


def _started(folder: Path) -> ObjectStore:
    """Start a server, on other ports where another program has taken some of them."""
    for number in range(_TRIES):
        own = folder / f"{number}"
        own.mkdir()
        store = ObjectStore(own)
        with contextlib.suppress(_NotStartedError):
            store.start()
            return store
    raise RuntimeError(f"SeaweedFS does not start:\n{(own / 'log').read_text()[-2000:]}")


def forget_stores() -> None:
    """Let the library read the environment again, which it does once for each store."""
    type(UPath(f"s3://{BUCKET}").fs).clear_instance_cache()


def other_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Continue as on a machine with empty scratch."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def _identities(key: str, secret: str) -> str:
    credentials = [{"accessKey": key, "secretKey": secret}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return json.dumps({"identities": [{"name": "tests", "credentials": credentials, "actions": actions}]})


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with those above them, outside of the range that the system assigns."""
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

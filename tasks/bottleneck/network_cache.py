"""Converted and quantised networks, cached beside the bottlenecks that they computed."""

import hashlib
from collections.abc import Callable

from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, lock_folder, publish_bytes, read_bytes


def cached_network(folder: AnyPath, kind: str, suffix: str, make: Callable[[], bytes]) -> bytes:
    """Read a network from the cache in a folder, or make and cache it as `<kind>-<hash of its bytes><suffix>`.

    One process calls `make`, and others that need the network wait.

    Raises:
        DamagedError: The cached network is damaged.
    """
    # The file is published whole, so only making it needs the lock.
    if (network := _read(folder, kind, suffix)) is not None:
        return network
    with lock_folder(folder):
        if (network := _read(folder, kind, suffix)) is not None:
            return network
        network = make()
        publish_bytes(folder / f"{_stem(network, kind)}{suffix}", network)
        return network


def _read(folder: AnyPath, kind: str, suffix: str) -> bytes | None:
    for path in listed(folder, f"{kind}-*{suffix}"):
        network = read_bytes(path)
        if path.stem != _stem(network, kind):
            raise DamagedError(
                path, f"{path} is damaged: its content does not match the hash in its name. Delete it and run again."
            )
        return network
    return None


def _stem(network: bytes, kind: str) -> str:
    return f"{kind}-{hashlib.sha256(network).hexdigest()[:KEY_LENGTH]}"

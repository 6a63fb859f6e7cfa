"""Networks that are made once and kept beside the bottlenecks which they computed."""

import hashlib
from collections.abc import Callable

from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, publish_bytes, read_bytes
from tasks.storage.locks import lock_folder


def kept_network(folder: AnyPath, kind: str, suffix: str, make: Callable[[], bytes]) -> bytes:
    """Read a network, or make it where none is kept.

    Args:
        folder: Where it is kept, as `<kind>-<hash of its bytes><suffix>`.
        kind: What its name begins with.
        suffix: What its name ends in.
        make: Makes it; called by one process of all that want it, while the others wait.

    Raises:
        DamagedError: The network that is kept is damaged.
    """
    pattern = f"{kind}-*{suffix}"
    # It is there whole or not at all: only who makes it need be alone.
    if kept := listed(folder, pattern):
        return _read(kept[0], kind)
    with lock_folder(folder):
        if kept := listed(folder, pattern):
            return _read(kept[0], kind)
        network = make()
        publish_bytes(folder / f"{_stem(network, kind)}{suffix}", network)
        return network


def _read(path: AnyPath, kind: str) -> bytes:
    network = read_bytes(path)
    if path.stem != _stem(network, kind):
        why = "its bytes are not those that it is named after"
        raise DamagedError(path, f"{path} is damaged: {why}. Delete it and run again.")
    return network


def _stem(network: bytes, kind: str) -> str:
    return f"{kind}-{hashlib.sha256(network).hexdigest()[:KEY_LENGTH]}"

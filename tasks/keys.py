"""Keys of cached results, and hashes of files."""

import hashlib
import json
from collections.abc import Mapping

from tasks.paths import AnyPath

#: Hex digits of a key, 64 bits: enough that two of a million million keys meet with a chance of 3 in 100.
KEY_LENGTH = 16


def fingerprint(ingredients: Mapping[str, object]) -> str:
    """Compute the key of a result from its ingredients.

    Args:
        ingredients: Anything that JSON can hold; the order of keys does not matter.

    Returns:
        The first 16 lower-case hex digits of the sha256 of the canonical JSON.
    """
    text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # A path that is not UTF-8 holds lone surrogates, which have no bytes of their own.
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:KEY_LENGTH]


def file_sha256(path: AnyPath) -> str:
    """Hash a file's bytes in bounded memory; 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # UPath's files have `readinto` too

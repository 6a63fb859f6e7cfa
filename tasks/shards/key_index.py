"""Finds keys among others on arrow's buffers, without making Python objects of them."""

import binascii
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import StoreError

#: Hex digits of a row's key, a sha256.
DIGITS = 64
#: Digits that are sorted and searched: 64 bits, which a processor compares in one step.
_START_DIGITS = 16
#: Keys that are converted to numbers in one step, so that the copied text takes little memory.
_BLOCK = 65_536

Places = npt.NDArray[np.int64]
Texts = npt.NDArray[np.bytes_]
Starts = npt.NDArray[np.uint64]


class KeyIndex:
    """Finds the places of keys among the wanted keys. It is built once for all shards.

    Beside the wanted keys it takes 8 bytes a key if they are sorted, as a snapshot's are, else 16.

    Args:
        wanted: Keys, each once.

    Raises:
        StoreError: A wanted key is invalid.
    """

    def __init__(self, wanted: pa.Array) -> None:
        try:
            self._texts = key_texts(wanted)
            self._sorted: npt.NDArray[Any] = key_starts(self._texts)
        except ValueError as exc:
            raise StoreError(
                f"A photo that is looked for cannot be in a store: {exc}. Delete the snapshot that lists it, "
                "and the files of its dataset's dates beside it; the next run takes it again."
            ) from exc
        self._order: Places | None = None
        self._sort()
        self._whole = bool((self._sorted[1:] == self._sorted[:-1]).any())
        if self._whole:
            # Keys with equal starts are made up, or made to collide: compare them whole, which is slower.
            self._sorted, self._order = self._texts, None
            self._sort()

    def places(self, keys: pa.Array | pa.ChunkedArray) -> Places:
        """Place of each key among the wanted keys, int64 [N]; -1 if it is not wanted.

        Raises:
            ValueError: A key is invalid.
        """
        asked = key_texts(keys)
        places = np.full(len(asked), -1)
        if not len(self._texts) or not len(asked):
            return places
        sought = asked if self._whole else key_starts(asked)
        nearest = np.minimum(np.searchsorted(self._sorted, sought), len(self._sorted) - 1)
        alike = np.flatnonzero(self._sorted[nearest] == sought)
        found = nearest[alike] if self._order is None else self._order[nearest[alike]]
        same = (_words(self._texts)[found] == _words(asked)[alike]).all(axis=1)
        places[alike[same]] = found[same]
        return places

    def _sort(self) -> None:
        if (self._sorted[1:] < self._sorted[:-1]).any():
            self._order = np.argsort(self._sorted)
            self._sorted = self._sorted[self._order]


def key_texts(keys: pa.Array | pa.ChunkedArray) -> Texts:
    """The digits of keys: `S64` [N], a view of arrow's memory if they are in one chunk.

    Raises:
        ValueError: A key is not 64 characters long, or null.
    """
    chunks = keys.chunks if isinstance(keys, pa.ChunkedArray) else [keys]
    texts = [_chunk_texts(chunk) for chunk in chunks if len(chunk)]
    if len(texts) == 1:
        return texts[0]
    return np.concatenate([np.empty(0, f"S{DIGITS}"), *texts])


def key_starts(texts: Texts) -> Starts:
    """The first 16 digits of keys as numbers, in the order of the keys: uint64 [N].

    Args:
        texts: `S64` [N].

    Raises:
        ValueError: A character is no hex digit.
    """
    starts = np.empty(len(texts), np.uint64)
    for start in range(0, len(texts), _BLOCK):
        digits = texts[start : start + _BLOCK].view(np.uint8).reshape(-1, DIGITS)[:, :_START_DIGITS].tobytes()
        try:
            starts[start : start + _BLOCK] = np.frombuffer(binascii.unhexlify(digits), ">u8")
        except binascii.Error as exc:
            raise ValueError("a key is not made of hex digits") from exc
    return starts


def _chunk_texts(keys: pa.Array) -> Texts:
    _, offsets, digits = keys.buffers()
    ends = np.frombuffer(offsets, np.int32)[keys.offset : keys.offset + len(keys) + 1]
    wrong = np.flatnonzero(np.diff(ends) != DIGITS)
    if keys.null_count or len(wrong):
        example = None if keys.null_count else keys[int(wrong[0])].as_py()
        raise ValueError(f"the key {example!r} is not the {DIGITS} hex digits of a sha256")
    return np.frombuffer(digits, f"S{DIGITS}", len(keys), int(ends[0]))


def _words(texts: Texts) -> Starts:
    """`S64` [N] as uint64 [N, 8], which compares many times as fast."""
    return texts.view(np.uint64).reshape(-1, DIGITS // 8)

"""JPEG 2000: cut short anywhere it is rejected, tile by tile too, and used without its end marker."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.decode import images
from tasks.decode.images import decode_photo
from tasks.decode.jpeg2000 import END, read_codestream
from tasks.decode.rejections import Reason, Rejected
from tasks.decode.repair import Flaw
from tests.decode.drawing import EXACT, decoded, encode, noise, rejection_of

PHOTO = noise(20, 20)
WAYS: dict[str, dict[str, Any]] = {
    "boxes": {},
    "bare": {"no_jp2": True},
    "tiles": {"tile_size": (8, 8)},
    "bare tiles": {"tile_size": (8, 8), "no_jp2": True},
    "resolutions": {"progression": "RPCL", "num_resolutions": 2},
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def data(request: pytest.FixtureRequest) -> bytes:
    return encode(Image.fromarray(PHOTO), "JPEG2000", **request.param)


def test_a_photo_cut_anywhere_in_its_pixels_is_rejected(data: bytes) -> None:
    for length in range(100, len(data) - len(END)):
        assert rejection_of(data[:length]) in (Reason.TRUNCATED, Reason.DAMAGED), length


def test_a_photo_that_lacks_only_its_end_marker_is_used_and_told(data: bytes) -> None:
    for missing in range(1, len(END) + 1):
        pixels, flaws = decoded(data[:-missing])
        assert np.array_equal(pixels, PHOTO)
        assert flaws == (Flaw.NO_END_MARKER,)
    assert decoded(data)[1] == ()


def test_a_photo_that_says_to_have_more_tiles_than_there_are_is_rejected_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = encode(Image.fromarray(PHOTO), "JPEG2000", no_jp2=True)
    bomb = bare[:8] + struct.pack(">II", 9000, 9000) + bare[16:24] + struct.pack(">II", 40, 40) + bare[32:]
    monkeypatch.delattr(images, "_load")
    assert rejection_of(bomb) == Reason.TRUNCATED


def test_a_pillow_without_openjpeg_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check_codec", lambda _: False)
    with pytest.raises(Rejected, match=r"built without OpenJPEG\. Convert it") as caught:
        decode_photo(encode(Image.fromarray(PHOTO), "JPEG2000"), EXACT)
    assert caught.value.rejection.reason == Reason.UNSUPPORTED_FORMAT


def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[random.integers(0, len(damaged), 8)] = random.integers(0, 256, 8)
        read_codestream(damaged.tobytes())
        read_codestream(damaged.tobytes()[: random.integers(0, len(data))])

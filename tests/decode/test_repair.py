"""Photos with all of their pixels that Pillow refuses: used, with what is wrong with them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tasks.decode.images import decode_photo
from tasks.decode.rejections import Reason
from tasks.decode.repair import Flaw, Flawed, tell_flawed
from tests.decode.drawing import EXACT, chunk, decoded, encode, noise, oriented, p3_profile, rejection_of

PHOTO = noise(20, 20)
PNG = encode(Image.fromarray(PHOTO), "PNG")
#: Where chunks can stand: after the header, and before the end marker.
START, LAST = 33, len(PNG) - 12
MUCH = 2**20 + 1
#: Bytes of a zlib stream after its data: the checksum, whose first byte zlib asks for.
ZLIB_END = 4


def with_chunk(kind: bytes, content: bytes, place: int = START) -> bytes:
    return PNG[:place] + chunk(kind, content) + PNG[place:]


def spoilt(data: bytes, kind: bytes) -> bytes:
    """Flip a bit of a chunk's checksum."""
    name = data.index(kind)
    end = name + 4 + int.from_bytes(data[name - 4 : name])
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


def profile_of(size: int) -> bytes:
    """A profile that changes colours, filled up."""
    profile = p3_profile()
    return struct.pack(">I", size) + profile[4:] + np.random.default_rng(0).bytes(size - len(profile))


def assert_shown(data: bytes, *flaws: Flaw) -> None:
    """Check that the whole photo is decoded, with these flaws."""
    pixels, told = decoded(data)
    assert np.array_equal(pixels, PHOTO)
    assert told == flaws


@pytest.mark.parametrize("place", [START, LAST], ids=["first", "last"])
@pytest.mark.parametrize(
    ("kind", "start"), [(b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")], ids=["zTXt", "iTXt"]
)
@pytest.mark.parametrize(("size", "flaws"), [(MUCH, ()), (2**26, (Flaw.SKIPPED_CHUNK,))], ids=["much", "bomb"])
def test_a_png_with_much_text_is_used(
    kind: bytes, start: bytes, place: int, size: int, flaws: tuple[Flaw, ...]
) -> None:
    assert_shown(with_chunk(kind, start + zlib.compress(bytes(size)), place), *flaws)
    assert PngImagePlugin.MAX_TEXT_CHUNK == 2**20, "what others in this process decode is bounded as it was"


def test_a_png_with_more_text_than_fits_into_memory_is_used() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**24 - 1)))
    assert_shown(PNG[:START] + 8 * text + PNG[START:], Flaw.SKIPPED_CHUNK)


def test_a_large_colour_profile_is_converted_as_a_small_one_is() -> None:
    small, large = (
        decoded(encode(Image.fromarray(PHOTO), "PNG", icc_profile=profile))
        for profile in (p3_profile(), profile_of(2 * MUCH))
    )
    assert not np.array_equal(small[0], PHOTO)
    assert np.array_equal(small[0], large[0])
    assert small[1] == large[1] == ()


def test_a_colour_profile_larger_than_any_is_passed_over() -> None:
    assert_shown(with_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(2**26))), Flaw.SKIPPED_CHUNK)


@pytest.mark.parametrize("kind", [b"pHYs", b"gAMA", b"tEXt", b"prVt"])
@pytest.mark.parametrize("place", [START, LAST], ids=["first", "last"])
def test_a_bad_checksum_of_what_is_not_the_picture_is_told(kind: bytes, place: int) -> None:
    assert_shown(spoilt(with_chunk(kind, b"\0\0\1\0\0\0\1\0\0", place), kind), Flaw.BAD_CHECKSUM)


def test_the_orientation_beside_a_bad_checksum_is_kept() -> None:
    data = encode(Image.fromarray(PHOTO), "PNG", exif=oriented(3), dpi=(72, 72))
    assert np.array_equal(decoded(spoilt(data, b"pHYs"))[0], PHOTO[::-1, ::-1])
    assert np.array_equal(decoded(spoilt(data, b"eXIf"))[0], PHOTO)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS"])
def test_a_bad_checksum_of_the_picture_is_damage(kind: bytes) -> None:
    photo = Image.fromarray(PHOTO[..., 0] % 4, "P")
    photo.putpalette(noise(4, 1)[0].tobytes())
    assert rejection_of(spoilt(encode(photo, "PNG", transparency=1), kind)) == Reason.DAMAGED


def test_a_png_without_its_end_marker_is_told_and_one_cut_in_its_pixels_rejected() -> None:
    content = PNG.index(b"IDAT") + 4
    end = content + int.from_bytes(PNG[content - 8 : content - 4])
    for length in range(end - ZLIB_END + 1, len(PNG)):
        assert_shown(PNG[:length], Flaw.NO_END_MARKER)
    for length in range(content, end - ZLIB_END):
        assert rejection_of(PNG[:length]) == Reason.TRUNCATED


def test_what_follows_the_end_marker_is_no_flaw() -> None:
    assert decoded(PNG + b"more")[1] == decoded(PNG + PNG)[1] == ()


def test_photos_with_flaws_are_counted_and_some_of_them_named() -> None:
    one = Flawed.of("a.png", (Flaw.BAD_CHECKSUM, Flaw.NO_END_MARKER))
    all_ = sum((Flawed.of(f"{number}.jpg", (Flaw.NO_END_MARKER,)) for number in range(20)), one)
    assert (all_.photos, all_.kinds) == (21, {"bad_checksum": 1, "no_end_marker": 21})
    assert all_.examples == ("a.png", *(f"{number}.jpg" for number in range(9)))
    assert tell_flawed(vars(one)) == (
        "Decoded although something is wrong with the file: 1 photo (bad_checksum 1, no_end_marker 1), such as a.png"
    )


def test_a_repaired_photo_is_bound_by_the_cap_on_pixels() -> None:
    data = encode(Image.fromarray(PHOTO), "JPEG")[:-2]
    assert decode_photo(data, EXACT, 400).flaws == (Flaw.NO_END_MARKER,)
    assert rejection_of(data, 399) == Reason.TOO_LARGE


def test_pillow_alone_refuses_these_photos() -> None:
    """Else the repairs are not needed any more."""
    for data in (spoilt(with_chunk(b"pHYs", bytes(9)), b"pHYs"), encode(Image.fromarray(PHOTO), "JPEG")[:-2]):
        with pytest.raises(OSError, match=r"truncated|cannot identify"), Image.open(io.BytesIO(data)) as photo:
            photo.load()

"""An image is recognised by the first bytes of its file."""

import io

import pytest
from PIL import Image

from tasks.file_types import HEAD, PILLOW_FORMATS, image_format


@pytest.mark.parametrize("pillow", PILLOW_FORMATS)
@pytest.mark.parametrize("size", [(3, 2), (2000, 1500)], ids=["small", "large"])
def test_what_pillow_writes_is_recognised_by_its_head(pillow: str, size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, pillow)
    found = image_format(file.getvalue()[:HEAD])
    assert found is not None
    assert found.pillow == pillow


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a\x00", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIF"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
    ],
)
def test_a_format_that_is_not_read_has_a_name(head: bytes, name: str) -> None:
    found = image_format(head)
    assert found is not None
    assert (found.name, found.pillow) == (name, "")


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xd8", b"BMW and cars", b"P5 was a note", b"GIFs of cats", b"RIFF\x24\0\0\0WAVEfmt ", b"ftypheic"],
)
def test_other_files_are_no_images(head: bytes) -> None:
    assert image_format(head) is None

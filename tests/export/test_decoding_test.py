"""The test of the formats that decode photos: when it holds for further photos, and when it does not."""

import io

import pytest
from PIL import Image, ImageCms

from tasks.export.decoding_test import DecodingTest
from tasks.export.photos import kind_of_file
from tests.bottleneck.pictures import key_of

PLAIN, PROFILE = "JPEG RGB", "JPEG RGB, profile"


def kinds(start: int, **counts: int) -> dict[str, str]:
    names = {"plain": PLAIN, "profile": PROFILE, "cmyk": "JPEG CMYK"}
    every = [names[name] for name, count in counts.items() for _ in range(count)]
    return {key_of(start + number): kind for number, kind in enumerate(every)}


@pytest.mark.parametrize(
    ("tested", "untested", "disagreements", "holds"),
    [
        ({"plain": 200}, {}, 0, True),
        ({"plain": 200}, {"plain": 200}, 5, True),
        ({"plain": 200}, {"plain": 201}, 0, False),
        ({"plain": 200}, {"profile": 1}, 0, False),
        ({"plain": 190, "profile": 10}, {"profile": 5}, 0, True),
        ({"plain": 190, "profile": 10}, {"profile": 6}, 0, False),
        ({"plain": 190, "profile": 10}, {"profile": 2, "plain": 50}, 3, True),
        ({"plain": 190, "profile": 10}, {"profile": 2, "plain": 50}, 4, False),
        ({"plain": 199, "cmyk": 1}, {"cmyk": 6}, 0, False),
    ],
)
def test_test_holds_while_new_photos_could_not_make_it_fail(
    tested: dict[str, int], untested: dict[str, int], disagreements: int, holds: bool
) -> None:
    figures = {"saved_model": {"disagreements": disagreements}, "model.keras": {"disagreements": 0}}
    test = DecodingTest("model", kinds(0, **tested), kinds(1000, **untested), figures, {}, 0)
    assert test.holds_for(218) == holds


def picture(mode: str, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 3)).save(buffer, format_, **options)
    return buffer.getvalue()


def test_kind_of_a_file_tells_format_mode_colours_and_orientation() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    profiles = {name: ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes() for name in ("sRGB", "LAB")}
    other = profiles["sRGB"].replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    assert kind_of_file(picture("RGB", "JPEG")) == PLAIN
    assert kind_of_file(picture("RGB", "JPEG", icc_profile=profiles["sRGB"])) == PLAIN
    assert kind_of_file(picture("RGB", "JPEG", icc_profile=other)) == PROFILE
    assert kind_of_file(picture("RGB", "JPEG", icc_profile=other, exif=turned)) == "JPEG RGB, profile, turned"
    assert kind_of_file(picture("LA", "PNG")) == "PNG LA"
    assert kind_of_file(picture("CMYK", "JPEG")) == "JPEG CMYK"
    assert kind_of_file(b"no picture") == "unreadable"

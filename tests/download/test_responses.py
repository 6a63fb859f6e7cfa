"""Headers that make no sense are ignored."""

import httpx
import pytest

from tasks.download.responses import ContentRange, content_length, content_range, origin_of, status_error
from tasks.download.retry_policy import FetchError, TransientError


def answer(status: int = 200, **headers: bytes) -> httpx.Response:
    return httpx.Response(status, headers=[(name.replace("_", "-").encode(), value) for name, value in headers.items()])


SENSELESS_RANGES = [
    *(b"", b"bytes */10", b"bytes 9-5/10", b"bytes 5-10/10", b"bytes -5-9/10", b"items 5-9/10", b"bytes 5-9/1e9"),
    *(b"bytes 5-9/" + b"9" * 5000, "bytes \u0665-\u0669/10".encode(), b"bytes 5-9/10, bytes 0-1/10"),
]
SENSELESS_DELAYS = [
    *(b"-7", b"1e9", b"soon", b"inf", "\u00b2".encode(), "\u0663".encode(), b"", b"Mon, 01 Jan 1990 00:00:00 GMT"),
    *(b"Mon, 99 Jan 2030 00:00:00 GMT", b"Mon, 01 Jan 99999 00:00:00 GMT", b"Mon, 01 Jan 0001 00:00:00 +2359"),
    b"Mon, 01 Jan 2030 00:00:00 +99999999999",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"bytes 0-0/1", ContentRange(0, 1, 1)),
        (b"bytes 70000-204799/204800", ContentRange(70_000, 204_800, 204_800)),
        (b"bytes 5-9/*", ContentRange(5, 10, None)),
        *((text, None) for text in SENSELESS_RANGES),
    ],
)
def test_a_range_that_makes_no_sense_is_none(text: bytes, expected: ContentRange | None) -> None:
    assert content_range(answer(206, Content_Range=text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [(b"0", 0), (b"204800", 204_800), (b"", None), (b"-1", None), ("\u00b2".encode(), None)]
)
def test_a_length_is_a_number_or_none(text: bytes, expected: int | None) -> None:
    assert content_length(answer(Content_Length=text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"7", 7.0), (b"0", 0.0), (b"9" * 5000, float("9" * 300)), *((text, 0.0) for text in SENSELESS_DELAYS)],
)
def test_a_pause_that_makes_no_sense_is_none(text: bytes, expected: float) -> None:
    refusal = status_error(answer(429, Retry_After=text))
    assert isinstance(refusal, TransientError)
    assert refusal.delay == expected


def test_a_reason_is_quoted_in_part() -> None:
    refusal = status_error(httpx.Response(418, extensions={"reason_phrase": b"no " * 10_000}))
    assert isinstance(refusal, FetchError)
    assert len(str(refusal)) < 100


@pytest.mark.parametrize("etag", [b"", "\u00fc".encode(), b"\xff", b"x" * 2000])
def test_an_etag_that_could_not_be_sent_back_is_none(etag: bytes) -> None:
    assert origin_of("http://x", answer(ETag=etag), None).etag is None

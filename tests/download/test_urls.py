"""URLs are shown and kept without what is secret in them."""

import pytest

from tasks.download.urls import redact_url, url_identity


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a/photos.tgz", "https://example.org/a/photos.tgz"),
        ("https://me:secret@example.org:8443/photos.tgz", "https://example.org:8443/photos.tgz"),
        ("https://secret@example.org/photos.tgz", "https://example.org/photos.tgz"),
        ("https://me:sec@ret@example.org/photos.tgz", "https://example.org/photos.tgz"),
        ("https://example.org/photos.tgz?token=secret", "https://example.org/photos.tgz?…"),
        ("https://example.org/photos.tgz#secret", "https://example.org/photos.tgz"),
        ("https://example.org/@me/photos.tgz", "https://example.org/@me/photos.tgz"),
        ("https://me:sec/ret@example.org/photos.tgz", "https:…"),
        ("http://[secret", "http:…"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, expected: str) -> None:
    assert redact_url(url) == expected


def test_only_secrets_change_a_url_and_urls_that_differ_in_them_stay_apart() -> None:
    urls = [f"https://{user}example.org/photos.tgz{query}" for user in ("", "a:b@") for query in ("", "?v=1", "?v=2")]
    kept = {url_identity(url) for url in urls}
    assert len(kept) == 6
    assert urls[0] == url_identity(urls[0]) == "https://example.org/photos.tgz"
    assert not [url for url in kept if "a:b" in url or "v=" in url]

"""The proxy that the environment names for a URL, in all the forms in which people write it."""

import httpx
import pytest

from tasks.download.proxies import Proxy, proxy_for, without_credentials
from tasks.download.retry_policy import FetchError

pytestmark = pytest.mark.usefixtures("plain_network")

URL = "http://photos.example.org/photos.tgz"
LOGIN = ("me", "hunter2")


def found(url: str = URL) -> Proxy | None:
    return proxy_for(httpx.URL(url))


@pytest.mark.parametrize(
    ("value", "url", "auth"),
    [
        *((value, "http://proxy:3128", None) for value in ("http://proxy:3128", "http://proxy:3128/", "proxy:3128")),
        *((value, "http://proxy:3128", None) for value in (" http://proxy:3128 ", "HTTP://proxy:3128")),
        *((value, "http://proxy", None) for value in ("http://proxy", "proxy")),
        *((url, url, None) for url in ("http://proxy:", "http://[::1]:3128", "https://proxy:3128", "socks5://proxy")),
        ("http://my_proxy.example.org:80", "http://my_proxy.example.org:80", None),
        ("10.0.0.1:3128", "http://10.0.0.1:3128", None),
        *((value, "http://proxy:3128", LOGIN) for value in ("me:hunter2@proxy:3128", "http://me:hunter2@proxy:3128")),
        ("http://me@proxy:3128", "http://proxy:3128", ("me", "")),
        ("http://@proxy:3128", "http://proxy:3128", None),
        ("http://me:hun%2Fter%402@proxy:3128", "http://proxy:3128", ("me", "hun/ter@2")),
        ("http://me:hun@ter2@proxy:3128", "http://proxy:3128", ("me", "hun@ter2")),
        ("socks5h://me:hunter2@proxy:1080", "socks5://proxy:1080", LOGIN),
        *((value, "socks5://proxy:1080", None) for value in ("socks5://proxy:1080", "socks://proxy:1080/")),
    ],
)
def test_a_proxy_is_taken_in_every_form_that_is_in_use(
    value: str, url: str, auth: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    proxy = found()
    assert proxy is not None
    assert (proxy.variable, proxy.url, proxy.auth) == ("ALL_PROXY", url, auth)


MALFORMED = [
    *("http:///proxy", "http://me:hunter2@", "http:proxy:3128", "http://proxy:port", "http://proxy:0"),
    "http://proxy:-1",
    *("http://proxy:65536", "http://proxy:" + "9" * 5000, "http://::1:3128", "http://[::1", "http://[1.2]:3128"),
    *("http://pro..xy:3128", "http://" + "x" * 64 + ":3128", '"http://proxy:3128"'),
]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("socks4://me:hunter2@proxy:1080", "ALL_PROXY=socks4://proxy:1080 cannot be used: only http, https, socks"),
        ("socks4a://proxy", "only http, https, socks, socks5, socks5h can be used"),
        ("ftp://proxy:21", "ALL_PROXY=ftp://proxy:21 cannot be used: only http"),
        (r"socks\://proxy:7890", "not of the form http://host:port"),
        ("http://", "ALL_PROXY=http:// cannot be used: it is not of the form http://host:port"),
        *((value, "not of the form") for value in MALFORMED),
        ("http://me:hunter2@:3128", "ALL_PROXY=http://:3128 cannot be used: it is not of the form"),
        ("http://my proxy:3128", "ALL_PROXY=http://my proxy:3128 cannot be used"),
        ("http://pro\x1b[31mxy:3128", r"ALL_PROXY=http://pro\\x1b"),
        ("me:hunter2", "ALL_PROXY=me:… cannot be used"),
        ("http://me:hunter2", "ALL_PROXY=http://me:… cannot be used"),
        ("http://me:hun/ter2@proxy:3128", r"ALL_PROXY=http://proxy:3128 .* / \? and # have to be written as %2F"),
        ("http://me:hun#ter2@proxy:3128", "%2F, %3F and %23"),
        ("http://me:hunter2\udcff@proxy:3128", "ALL_PROXY=http://proxy:3128 .* is not UTF-8"),
        ("socks5://me:" + "hunter2" * 40 + "@proxy", "more than 255 bytes"),
        ("http://pro\udcffxy:3128", r"ALL_PROXY=http://pro\\udcffxy:3128"),
    ],
)
def test_an_unusable_proxy_is_named_without_its_login(value: str, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(FetchError, match=error) as caught:
        found()
    text = f"{caught.value}"
    assert not [secret for secret in ("hun", "ter2") if secret in text]
    assert text.isprintable()
    assert caught.value.remedy == "Mend or unset ALL_PROXY"


@pytest.mark.parametrize(
    ("environment", "url", "named"),
    [
        *(({name: "http://proxy:1"}, URL, f"{name}=http://proxy:1") for name in ("HTTP_PROXY", "http_proxy")),
        *(({name: "http://proxy:1"}, URL, f"{name}=http://proxy:1") for name in ("ALL_PROXY", "all_proxy")),
        ({"HTTP_PROXY": "http://upper:1", "http_proxy": "http://lower:2"}, URL, "http_proxy=http://lower:2"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://own:2"}, "https://host/", "HTTPS_PROXY=http://own:2"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://own:2"}, URL, "ALL_PROXY=http://all:1"),
        ({"ALL_PROXY": ""}, URL, "None"),
        ({"ALL_PROXY": " "}, URL, "None"),
        # A bad proxy is no matter to a URL that does not go through it.
        ({"HTTPS_PROXY": "socks4://proxy", "ALL_PROXY": "nonsense://", "NO_PROXY": "example.org"}, URL, "None"),
        *(({"HTTP_PROXY": "http://proxy:1", name: "example.org"}, URL, "None") for name in ("NO_PROXY", "no_proxy")),
    ],
)
def test_the_variable_of_a_scheme_goes_first(
    environment: dict[str, str], url: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert f"{found(url)}" == named


#: Values of NO_PROXY, a URL, and whether they except it.
EXEMPTIONS = [
    (["*", "other.example, *", "photos.example.org", "PHOTOS.Example.ORG", "example.org"], URL, True),
    ([".example.org", "*.example.org", "other.example,example.org"], URL, True),
    (["other.example example.org", "photos.example.org:80", "http://photos.example.org"], URL, True),
    (["all://example.org/", "photos.example.org."], URL, True),
    ([".example.org", "*.example.org"], "http://example.org/", False),
    (["ample.org", " , other.example ,, ", "photos.example.org:8080"], URL, False),
    (["https://photos.example.org", "10.0.0.0/8", "host:port", "*[", ".", "*.", "://"], URL, False),
    (["http://[", "\udcff"], URL, False),
    (["photos.example.org:8080"], "http://photos.example.org:8080/", True),
    (["bücher.example"], "http://xn--bcher-kva.example/", True),
    (["xn--bcher-kva.example"], "http://bücher.example/", True),
    (["localhost"], "http://localhost:8080/", True),
    (["127.0.0.1", "127.0.0.1:8080"], "http://127.0.0.1:8080/", True),
    (["127.0.0.1"], "http://127.0.0.10:8080/", False),
    (["127.0.0.0/8", "127.0.0.1/8"], "http://127.1.2.3/", True),
    (["10.0.0.0/8"], "http://127.1.2.3/", False),
    (["10.0.0.0/99"], "http://10.0.0.0/", False),
    (["::1", "[::1]", "[::1]:8080"], "http://[::1]:8080/", True),
    (["::1"], "http://[::2]/", False),
    (["::1"], "http://127.0.0.1/", False),
    (["[::1]:8080"], "http://[::1]/", False),
    (["0:0:0:0:0:0:0:1", "[::1"], "http://[::1]/", True),
    (["fd00::/8", "[fd00::/8]"], "http://[fd12::1]/", True),
    (["[fd00::]/8"], "http://[fe80::1]/", False),
    (["fe80::1%eth0"], "http://[fe80::1]/", True),
]


@pytest.mark.parametrize(
    ("entries", "url", "exempt"), [(value, url, exempt) for values, url, exempt in EXEMPTIONS for value in values]
)
def test_no_proxy_exempts_hosts(entries: str, url: str, exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entries)
    assert (found(url) is None) == exempt


def test_a_proxy_never_shows_its_password() -> None:
    assert "hunter2" not in repr(Proxy("ALL_PROXY", "proxy", "http://proxy", LOGIN))
    values = "me:hunter2@", "me:hun/ter2@proxy", "http://me:hunter2@proxy:x", "me:hunter2", "//me:hunter2@[::1]:1"
    assert not [value for value in values if "ter2" in without_credentials(value)]

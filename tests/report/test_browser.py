"""The pages in a real browser: quiet, without requests, for narrow windows, dark rooms, keyboards and paper."""

from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser

from tests.report.browser import Site, Visit, visiting

pytestmark = pytest.mark.slow

PHONE = 390
AA = 4.5
#: Selectors of elements with text.
TEXTS = ("h1", ".verdict", ".reason", ".soft", "a:not(.skip)", ".notes li", ".good", ".bad", "td", "th", "code")
Scheme = Literal["light", "dark"]


@pytest.mark.parametrize("name", Site._fields)
def test_a_page_is_quiet_asks_nobody_for_anything_and_shows_all_pictures(
    browser: Browser, site: Site, name: str
) -> None:
    with visiting(browser, getattr(site, name)) as visit:
        sizes = visit.page.locator("img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
        assert visit.complaints == []
        assert {url.partition(":")[0] for url in visit.requests} <= {"file", "data"}
        assert [url for url in visit.requests if url.startswith("file:")] == [getattr(site, name).as_uri()]
        assert all(size > 0 for size in sizes)
        assert (len(sizes) > 0) is (name != "overview")


@pytest.mark.parametrize("name", Site._fields)
def test_every_link_leads_somewhere(browser: Browser, site: Site, name: str) -> None:
    path: Path = getattr(site, name)
    with visiting(browser, path) as visit:
        links = visit.page.locator("a").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
        ids = visit.page.locator("[id]").evaluate_all("(all) => all.map((one) => '#' + one.id)")
        assert links
        assert {link for link in links if link.startswith("#")} <= set(ids)
        assert all((path.parent / unquote(link)).is_file() for link in links if not link.startswith("#"))


def test_reports_and_index_lead_to_each_other(visit: Visit, site: Site) -> None:
    visit.page.get_by_role("link", name="All runs").click()
    assert visit.page.url == site.overview.as_uri()
    visit.page.get_by_role("link", name="Report of 2026-11-23").click()
    assert visit.page.url == site.many.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", Site._fields)
def test_a_phone_need_not_scroll_sideways(browser: Browser, site: Site, name: str, scheme: Scheme) -> None:
    with visiting(browser, getattr(site, name), width=PHONE, scheme=scheme) as visit:
        assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= PHONE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, site: Site, scheme: Scheme) -> None:
    with visiting(browser, site.report, scheme=scheme) as visit:
        for selector in TEXTS:
            assert visit.contrast(selector) >= AA, selector
        visit.page.locator(".photo").first.click()
        assert visit.contrast("dialog button") >= AA
        background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) > 380) is (scheme == "light")


def test_tab_reaches_everything_in_the_order_of_the_page_and_shows_where_it_is(visit: Visit) -> None:
    reached: list[str] = []
    for _ in range(120):
        visit.page.keyboard.press("Tab")
        kind, outline = visit.focused(
            "[it.closest('nav') ? 'nav' : it.classList[0] || it.parentElement.classList[0] || it.localName,"
            " getComputedStyle(it).outlineStyle]"
        )
        if kind == "body":
            break
        assert outline == "solid", kind
        if kind not in reached:
            reached.append(kind)
    order = ("skip", "nav", "scroll", "photo", "plane", "choices")
    assert tuple(kind for kind in reached if kind in order) == order


def test_the_skip_link_jumps_over_the_navigation(visit: Visit) -> None:
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    assert visit.focused("it.id") == "main"


def test_paper_is_black_on_white_and_shows_everything(browser: Browser, site: Site) -> None:
    with visiting(browser, site.many, scheme="dark") as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.locator("nav").is_hidden()
        assert visit.page.locator("dialog").is_hidden()
        for section in visit.page.locator("main > section").all():
            assert section.is_visible()
        cut = visit.page.locator(".tall, .legend").evaluate_all(
            "(all) => all.filter((one) => one.scrollHeight > one.clientHeight + 1).length"
        )
        assert cut == 0


def test_long_tables_move_in_a_region_of_their_own_on_the_screen(browser: Browser, site: Site) -> None:
    with visiting(browser, site.many) as visit:
        region = visit.page.get_by_role("region", name="Test split by label")
        assert region.evaluate("(it) => it.scrollHeight > it.clientHeight")
        assert visit.page.get_by_role("region", name="Changes by label").evaluate(
            "(it) => it.scrollHeight <= it.clientHeight"
        )


def test_without_scripts_the_report_still_reads(browser: Browser, site: Site) -> None:
    with visiting(browser, site.report, script=False) as visit:
        text = visit.page.locator("main").inner_text()
        assert "Not worse than the champion" in text
        assert all(visit.page.locator("main img").nth(place).is_visible() for place in (0, 10, 20))
        assert visit.page.locator(".plane circle").count() == 300
        assert visit.complaints == []

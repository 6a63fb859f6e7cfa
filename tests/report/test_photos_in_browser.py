"""Large photos and the map in a real browser: by mouse, keyboard and finger."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks.snapshot.corrections import read_corrections
from tests.report.browser import Site, Visit, visiting
from tests.report.made_up import EVIL, LABELS
from tests.support.data_root import DAY

pytestmark = pytest.mark.slow

PHONE = 390


def test_a_photo_opens_goes_on_and_closes_by_keyboard(visit: Visit) -> None:
    photos, dialog = visit.page.locator(".photo"), visit.page.locator("dialog")
    sources = photos.locator("img").evaluate_all("(all) => all.map((one) => one.src)")
    photos.nth(0).focus()
    visit.page.keyboard.press("Enter")
    assert dialog.is_visible()
    shown = dialog.locator("img")
    assert shown.get_attribute("src") == sources[0]
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowRight")
    assert shown.get_attribute("src") == sources[2]
    assert shown.get_attribute("alt") == photos.nth(2).locator("img").get_attribute("alt")
    visit.page.keyboard.press("ArrowLeft")
    assert shown.get_attribute("src") == sources[1]
    assert shown.evaluate("(it) => it.clientWidth") > 2 * photos.nth(1).evaluate("(it) => it.clientWidth")
    visit.page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert photos.nth(1).evaluate("(it) => it === document.activeElement")


def test_the_large_photo_says_where_it_lies_and_goes_round(visit: Visit) -> None:
    count = visit.page.locator(".photo").count()
    visit.page.locator(".photo").last.click()
    dialog = visit.page.locator("dialog")
    assert f"{count} of {count}" in dialog.inner_text()
    assert "daisy/405.jpg" in dialog.inner_text(), "the last near duplicate"
    dialog.get_by_role("button", name="Next").click()
    assert f"1 of {count}" in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    assert dialog.is_hidden()


def test_the_map_tells_of_the_photo_below_the_pointer(visit: Visit) -> None:
    card = visit.page.locator(".card")
    assert card.is_hidden()
    # The points stand label by label: this one is of the second label, whose name looks like a script.
    visit.page.locator(".plane circle").nth(70).hover(force=True)
    assert card.is_visible()
    assert EVIL in card.inner_text()
    assert "predicted" in card.inner_text()
    drawn = card.locator("canvas").evaluate(
        """async (canvas) => {
          await new Promise((done) => setTimeout(done, 100));
          return new Set(canvas.getContext('2d').getImageData(0, 0, 64, 64).data).size;
        }"""
    )
    assert drawn > 20
    visit.page.locator("h1").hover()
    assert card.is_hidden()


def test_the_arrow_keys_go_from_photo_to_photo_on_the_map(visit: Visit) -> None:
    plane, card, here = (visit.page.locator(name) for name in (".plane", ".card", ".here"))
    visit.page.locator("#map h2").click()
    while not plane.evaluate("(it) => it === document.activeElement"):
        visit.page.keyboard.press("Tab")
    assert card.is_visible()
    before = float(here.get_attribute("cx") or 0)
    for _ in range(5):
        visit.page.keyboard.press("ArrowRight")
    assert float(here.get_attribute("cx") or 0) > before
    visit.page.keyboard.press("Escape")
    assert card.is_hidden()


def test_the_arrow_keys_reach_photos_that_lie_in_one_spot(browser: Browser, site: Site, tmp_path: Path) -> None:
    html = site.report.read_text(encoding="utf-8")
    head, rest = html.split('"points": [', 1)
    _, rest = rest.split(']], "sheets"', 1)
    page = tmp_path / "spot.html"
    spot = ", ".join(f'[9, 9, {label}, 0, "test", "{path}"]' for label, path in ((0, "a"), (0, "b"), (1, "c")))
    page.write_text(f'{head}"points": [{spot}], "sheets"{rest}')
    with visiting(browser, page) as visit:
        visit.page.locator(".plane").focus()
        seen = []
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
            visit.page.keyboard.press(key)
            seen.append(visit.page.locator(".card code").inner_text())
        assert seen == ["b", "c", "c", "b", "a"]


def test_the_legend_filters_labels_and_mistakes(visit: Visit) -> None:
    shown = visit.page.locator(".plane circle:not(.off)")
    everything = shown.count()
    visit.page.locator(".legend button").first.click()
    assert shown.count() == everything - 60
    assert visit.page.locator(".legend button").first.get_attribute("aria-pressed") == "false"
    visit.page.get_by_role("button", name="Hide all").click()
    assert shown.count() == 0
    visit.page.get_by_role("button", name="Show all").click()
    assert shown.count() == everything
    visit.page.get_by_role("button", name="Only mistakes").click()
    assert shown.count() == visit.page.locator(".plane .wrong").count() == 18


def test_a_finger_opens_photos_and_asks_the_map(browser: Browser, site: Site) -> None:
    with visiting(browser, site.report, width=PHONE) as visit:
        visit.page.locator(".photo").first.tap()
        assert visit.page.locator("dialog").is_visible()
        visit.page.locator("dialog").get_by_role("button", name="Close").tap()
        visit.page.locator(".plane circle").nth(5).tap(force=True)
        card = visit.page.locator(".card")
        assert card.is_visible()
        box = card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        assert visit.complaints == []


def test_marked_corrections_are_downloaded_as_a_file_of_corrections(visit: Visit, tmp_path: Path) -> None:
    button = visit.page.locator("#download-corrections")
    assert button.is_disabled()
    selects = visit.page.locator("select.correction")
    first = selects.nth(0)
    choices = first.locator("option").all_text_contents()
    assert choices[:3] == [f"Keep {LABELS[0]}", EVIL, "Exclude the photo"]
    assert sorted(choices[3:]) == sorted(LABELS[2:])
    first.select_option(index=1)
    selects.nth(1).select_option(index=2)
    selects.nth(2).select_option(index=1)
    selects.nth(2).select_option(index=0)
    assert "2 corrections" in visit.page.locator(".corrections").inner_text()
    with visit.page.expect_download() as waiting:
        button.click()
    file = tmp_path / "corrections.csv"
    waiting.value.save_as(file)
    assert waiting.value.suggested_filename == f"corrections-{DAY}.csv"
    lines = read_corrections(file).lines
    assert [(line.sha256, line.path, line.label) for line in lines] == [
        (f"{0:064x}", f"x/0, {EVIL}.jpg", EVIL),
        (f"{1:064x}", f"x/1, {EVIL}.jpg", ""),
    ]
    assert visit.requests == [request for request in visit.requests if not request.startswith("http")]


def test_without_scripts_label_issues_are_shown_and_nothing_is_chosen(browser: Browser, site: Site) -> None:
    with visiting(browser, site.report, script=False) as visit:
        assert visit.page.locator("#label-issues .photo").count() == 4
        assert visit.page.locator("select.correction:visible").count() == 0

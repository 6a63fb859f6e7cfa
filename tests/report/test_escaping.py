"""Names from outside stay text: in the report, figures, the model card and the list of labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import numpy as np
import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Dialog

from tasks.export.card import escape_cell, write_labels
from tasks.report.confusion import confusion_figure
from tasks.report.page import render_report
from tests.report.browser import Visit, visiting
from tests.report.made_up import make_up_report
from tests.report.parsed import Page
from tests.report.svg import read

ESCAPE = "\x1b]0;title\x07\x1b[2J\x9b2J\r"
#: Names that a folder can have, each of which means something to a browser, a template, Markdown, XML or a terminal.
NASTY = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<script>alert(1)<\\script>",
    "<!--",
    "]]>",
    "{{7*7}}{% include 'x' %}${7*7}",
    "&lt;b&gt;&#60;&amp;",
    "[x](javascript:alert(1)) ![y](z) `code` **bold** | cell",
    "back\\slash",
    "new\nline\n\n# heading",
    "\u202egnp.exe\u202c\u200f\u2066",
    ESCAPE,
    "x" * 255,
    "花" * 85,
)
PLAIN = tuple(f"label {number}" for number in range(len(NASTY)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose labels and paths are such names, as a file."""
    root = tmp_path_factory.mktemp("data")
    path = root / "report" / "x" / "report.html"
    path.parent.mkdir(parents=True)
    path.write_text(render_report(make_up_report(root, NASTY, map_points=60)), encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def visited(browser: Browser, written: Path) -> Iterator[tuple[Visit, list[Dialog]]]:
    """The report in a browser, after every photo was looked at, and the dialogs that it opened."""
    dialogs: list[Dialog] = []
    with visiting(browser, written) as visit:

        def on_dialog(dialog: Dialog) -> None:
            dialogs.append(dialog)
            dialog.dismiss()

        visit.page.on("dialog", on_dialog)
        for photo in visit.page.locator(".photo").all()[:20]:
            photo.click()
            visit.page.keyboard.press("Escape")
        visit.page.locator(".plane").focus()
        for _ in range(10):
            visit.page.keyboard.press("ArrowRight")
        yield visit, dialogs


@pytest.mark.slow
def test_no_name_runs_in_a_browser_or_asks_for_anything(
    visited: tuple[Visit, list[Dialog]], written: Path, tmp_path: Path
) -> None:
    visit, dialogs = visited
    assert dialogs == []
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [written.as_uri()]
    handlers = "(all) => all.flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith('on'))"
    assert visit.page.locator("*").evaluate_all(handlers) == []
    kinds = "(all) => [...new Set(all.map((one) => one.localName.toLowerCase()))]"
    # The script adds the choices of corrections.
    expected = {"option"} | {tag for tag, _ in Page(render_report(make_up_report(tmp_path, PLAIN, map_points=60))).tags}
    assert set(visit.page.locator("html, html *").evaluate_all(kinds)) == expected


@pytest.mark.slow
def test_browser_shows_every_label_as_it_is(visited: tuple[Visit, list[Dialog]]) -> None:
    page = visited[0].page
    shown = set(page.locator("#data tbody th bdi").all_text_contents())
    # A browser reads the end of a line as a line feed, whatever it was.
    assert shown == {label.replace("\r", "\n") for label in NASTY}
    data = json.loads(page.locator("#map-data").text_content() or "")
    assert tuple(data["labels"]) == NASTY
    assert {path.rpartition("/")[0] for *_, path in data["points"]} <= set(NASTY)


def test_figure_is_xml_without_anything_that_runs_and_names_every_label() -> None:
    drawn = read(confusion_figure(np.eye(len(NASTY), dtype=np.int64), NASTY))
    kinds = {element.tag.rpartition("}")[2] for element in drawn.iter()}
    assert kinds.isdisjoint({"a", "animate", "foreignObject", "iframe", "img", "script", "set"})
    attributes = [each for element in drawn.iter() for each in element.items()]
    assert not [name for name, _ in attributes if name.startswith("on")]
    links = [value for name, value in attributes if name.endswith("href")]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    texts = {text for element in drawn.iter() for text in element.itertext()}
    assert {"&lt;b&gt;&#60;&amp;", "]]>", "<!--", "back\\slash"} <= texts
    assert {sign for text in texts for sign in text if category(sign) in {"Cc", "Cf"}} <= {"\n"}


@pytest.mark.parametrize("name", NASTY)
def test_name_in_the_model_card_is_text_of_markdown(name: str) -> None:
    cell = escape_cell(name)
    table = f"# {cell}\n\nLabels: {cell}.\n\n| label | n |\n|---|---:|\n| {cell} | 1 |\n"
    page = Page(MarkdownIt("commonmark").enable("table").render(table))
    assert [tag for tag, _ in page.tags] == ["h1", "p", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)
    assert page.text.count(" ".join(shown.split())) == 3


def test_labels_are_as_many_lines_as_labels_and_none_is_a_command_to_a_terminal(tmp_path: Path) -> None:
    write_labels(NASTY, tmp_path / "labels.txt")
    text = (tmp_path / "labels.txt").read_text(encoding="utf-8")
    assert len(text.splitlines()) == len(NASTY)
    assert {sign for sign in text if category(sign) == "Cc"} == {"\n"}
    read = [line.encode("latin-1", "backslashreplace").decode("unicode_escape") for line in text.splitlines()]
    assert read == list(NASTY)

"""The report's structure; what a browser makes of it is in test_browser."""

import base64
import hashlib
import io
import json
from dataclasses import replace
from itertools import pairwise

import pytest
from PIL import Image

from tasks.champion.decision import Bounds, Comparison
from tasks.report.build import Report
from tasks.report.page import headline_of
from tasks.report.templates import VERDICT_WORDS
from tasks.runs.records import VERDICTS, Verdict
from tests.report.made_up import DECISION, EVIL, LABELS
from tests.report.parsed import Page

EVIL_FILE = f"x/{EVIL}.jpg"


def policy_of(page: Page) -> dict[str, str]:
    content = next(tag["content"] for tag in page.all("meta") if "http-equiv" in tag)
    parts = (directive.strip().partition(" ") for directive in content.split(";"))
    return {name: value for name, _, value in parts}


def sha256_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_asks_for_nothing_beside_itself(page: Page) -> None:
    assert all(tag["src"].startswith("data:image/jpeg;base64,") for tag in page.all("img"))
    assert [tag["href"] for tag in page.all("link")] == ["data:,"]
    assert {tag["href"] for tag in page.all("a") if not tag["href"].startswith("#")} == {"../../index.html"}
    assert "url(" not in page.html.replace("url(#", "")  # within a figure
    assert "@import" not in page.html


def test_the_policy_lets_in_nothing_but_the_style_and_the_script_of_the_page(page: Page) -> None:
    policy = policy_of(page)
    (style,), (data, script) = page.styles, page.scripts
    assert policy == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "img-src": "data:",
        "style-src": sha256_of(style),
        "script-src": sha256_of(script),
    }
    assert json.loads(data)["labels"] == list(LABELS)
    assert not [name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")]


def test_names_that_look_like_html_are_shown_as_they_are(page: Page) -> None:
    assert [tag.get("type") for tag in page.all("script")] == ["application/json", None]
    assert "<script>alert" not in page.html
    for shown in (
        f"flowers {EVIL}",
        f"champion of {EVIL}.",
        f"Label {EVIL}: validation",
        EVIL_FILE,
        f"daisy/{EVIL}.jpg",
        f"ends early {EVIL}",
        f"daisy, {EVIL}",
        f"note {EVIL}",
    ):
        assert shown in page.text
    assert sum(EVIL in tag["alt"] for tag in page.all("img")) > 5


def test_every_picture_has_an_alternative_text_and_its_proportions(page: Page, report: Report) -> None:
    pictures = page.all("img")
    # Of the photos that lie at several paths, one has a picture.
    assert len(pictures) == 1 + sum(map(len, (report.added, report.samples, report.mistakes, report.uncertain)))
    for tag in pictures:
        assert tag["alt"].strip()
        with Image.open(io.BytesIO(base64.b64decode(tag["src"].partition(",")[2], validate=True))) as opened:
            assert opened.size == (int(tag["width"]), int(tag["height"])) == (224, 224)


def test_figures_stand_in_the_page_as_they_are(page: Page, report: Report) -> None:
    for svg in vars(report.figures).values():
        assert page.html.count(svg) == 1


def test_the_summary_answers_first_whether_the_model_is_better(page: Page) -> None:
    assert page.text.index("Is this model better") < page.text.index("Test accuracy")
    for shown in (
        "Is this model better than the previous one? Not worse than the champion, whose place it takes.",
        "+4.1 points 95 % interval \N{MINUS SIGN}0.1 to +7.4, p = 0.064",
        "On the same 218 photos of the test split: 93.6 % the new model, 89.4 % the champion.",
        "Right: both 190, only the new one 14, only the champion 5, neither 9. Left out",
        "Previous run 88.0 % 2026-11-23, on its own 218 test photos",
        "Cross-validated accuracy 93.1 %",
        "Photos used 2,000 5 labels",
        "Photos rejected 2 which and why",
        "Exported files that agree 98.2 % saved_model 100.0 % model-int8.tflite 98.2 %",
    ):
        assert shown in page.text


def test_a_first_run_says_what_there_is_and_has_no_empty_parts(first: Page) -> None:
    for shown in (
        "The first model of this dataset, and so its champion.",
        "This is the first run of the dataset: all photos are new.",
        "None: all 5 photos of the test split are predicted rightly.",
        "No photo was rejected.",
        "No photo lies under several labels.",
        "No photo lies twice under one label.",
    ):
        assert shown in first.text
    for absent in ("Is this model better", "Cross-validated", "Previous run", "Exported", "Least certain", "Learning"):
        assert absent not in first.text
    ids = {attributes.get("id") for _, attributes in first.tags}
    assert ids.isdisjoint({"map", "map-data", "learning"})
    assert [tag.get("type") for tag in first.all("script")] == [None]


@pytest.mark.parametrize(
    ("verdict", "interval", "tone", "words"),
    [
        ("first", None, "good", "first model"),
        ("new", (0.01, 0.05), "good", "Yes: better"),
        ("new", (-0.01, 0.05), "good", "Not worse"),
        ("new", None, "good", "Not worse"),
        ("same", None, "careful", "same model"),
        ("stays", (-0.05, -0.01), "bad", "No: worse"),
        ("refused", None, "bad", "Refused: below"),
    ],
)
def test_every_verdict_has_its_words(
    verdict: Verdict, interval: tuple[float, float] | None, tone: str, words: str
) -> None:
    comparison = Comparison(0, 90, 5, 3, 2, Bounds(*interval, 0.95), 0.5) if interval else None
    found = headline_of(replace(DECISION, verdict=verdict, comparison=comparison))
    assert found[0] == tone
    assert words in found[1]
    assert set(VERDICT_WORDS) == {*VERDICTS, None}, "words for tables"


@pytest.mark.parametrize("name", ["page", "first"])
def test_tables_sections_and_headings_are_those_that_a_screen_reader_needs(
    request: pytest.FixtureRequest, name: str
) -> None:
    page: Page = request.getfixturevalue(name)
    assert len(page.all("caption")) == len(page.all("table")) > 3
    assert all(tag.get("scope") in {"col", "row"} for tag in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    sections, links = page.all("section"), [tag["href"] for tag in page.all("a")]
    assert {tag["aria-labelledby"] for tag in sections} <= set(ids)
    assert [f"#{tag['id']}" for tag in sections if f"#{tag['id']}" not in links] == []
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))

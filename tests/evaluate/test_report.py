"""The report as a browser would read it: parsed, not matched as text."""

import base64
import io
from dataclasses import dataclass, field, replace
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.decode.rejections import Missing
from tasks.evaluate.figures import confusion_matrix_figure
from tasks.evaluate.metrics import Interval, measure
from tasks.evaluate.report import (
    LISTED,
    CrossValidation,
    LabelCount,
    Mistake,
    PhotoPath,
    Picture,
    Report,
    Summary,
    render_report,
    thumbnail,
)

VOID = {"br", "img", "link", "meta"}
EVIL = "<script>alert('x')</script> & \"quoted\""
LABELS = ["daisy", EVIL, "雏菊"]


@dataclass
class Page(HTMLParser):
    """What the tests ask of a page."""

    html: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert not self.open_tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element; what stands in a table's cell or in a term of a list is a word of its own."""
        assert self.open_tags.pop() == tag
        if tag in {"td", "th", "dt", "dd", "caption"}:
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        """Keep what a reader sees."""
        if self.open_tags and self.open_tags[-1] != "style":
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of this name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        """All text, with every run of blanks as one."""
        return " ".join("".join(self.texts).split())


def image(kind: str = "JPEG", size: tuple[int, int] = (288, 288), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def report() -> Report:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], np.float32)
    metrics = measure(np.array([0, 1, 1]), probabilities, LABELS)
    return Report(
        summary=Summary(
            dataset=f"flowers {EVIL}",
            date=date(2026, 2, 3),
            backbone="efficientnet_lite0",
            photos=1995,
            rejected=2,
            cross_validation=CrossValidation(5, 0.9312, Interval(0.9193, 0.9415)),
            seconds={"decode": 14.62, "bottleneck": 184.2},
            provenance={"Snapshot": "9f3a51c2", "Note": EVIL},
        ),
        metrics=metrics,
        confusion_matrix=confusion_matrix_figure(metrics.confusion, LABELS),
        counts=[LabelCount(LABELS[0], 1000, 20, 30), LabelCount(EVIL, 800, 50, 60), LabelCount(LABELS[2], 3, 4, 5)],
        notes=[f"Label {EVIL}: validation was filled from the nearest hashes."],
        samples=[Picture("daisy/1.jpg", "daisy", image()), Picture("x/2.png", EVIL, image("PNG"))],
        mistakes=[Mistake(Picture(f"x/{EVIL}.jpg", EVIL, image()), "daisy", 0.7)],
        rejected=[Missing(f"daisy/{EVIL}.jpg", "truncated", f"ends early {EVIL}")],
        conflicts=[[PhotoPath("daisy/c.jpg", "daisy"), PhotoPath(f"x/{EVIL}", EVIL)]],
        duplicates=[[PhotoPath("daisy/d.jpg", "daisy"), PhotoPath("daisy/e.jpg", "daisy")]],
    )


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render_report(report))


def test_the_page_asks_for_nothing_beside_itself(page: Page) -> None:
    references = [
        attributes[name] for _, attributes in page.tags for name in ("src", "href", "srcset") if name in attributes
    ]
    assert references
    assert all(reference.startswith(("data:", "#")) for reference in references)
    assert "url(" not in page.html
    assert "@import" not in page.html


def test_a_policy_forbids_scripts_and_requests(page: Page) -> None:
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_names_that_look_like_html_are_shown_as_they_are(page: Page) -> None:
    assert not page.all("script")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert [EVIL in tag["alt"] for tag in page.all("img")] == [False, True, False, True]
    for shown in (
        f"flowers {EVIL}",
        f"Label {EVIL}: validation",
        f"x/{EVIL}.jpg",
        f"daisy/{EVIL}.jpg",
        f"ends early {EVIL}",
        f"daisy, {EVIL}",
    ):
        assert shown in page.text


def test_every_picture_has_an_alternative_text_and_opens(page: Page, report: Report) -> None:
    pictures = page.all("img")
    assert len(pictures) == 1 + len(report.samples) + len(report.mistakes)
    for tag in pictures:
        assert tag["alt"].strip()
        head, data = tag["src"].split(",", 1)
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as opened:
            assert head == f"data:image/{(opened.format or '').lower()};base64"
            opened.load()


def test_photos_are_shrunk_and_the_confusion_matrix_is_not(page: Page, report: Report) -> None:
    sizes = []
    for tag in page.all("img"):
        data = base64.b64decode(tag["src"].split(",", 1)[1])
        with Image.open(io.BytesIO(data)) as opened:
            sizes.append(opened.size)
        if opened.format == "PNG":
            assert data == report.confusion_matrix
    assert sizes[1:] == [(144, 144)] * 3


def test_the_summary_says_what_the_run_was_and_how_good_it_is(page: Page) -> None:
    for shown in (
        "Run of 2026-02-03 on the backbone efficientnet_lite0",
        "Test accuracy 66.7 % 20.8 % to 93.9 % 95 % interval 2 of 3 photos",
        "Cross-validated accuracy 93.1 % 91.9 % to 94.2 % 95 % interval 5 folds over all photos",
        "Photos used 1,995 3 labels",
        "Photos rejected 2",
        "decode 14.6 s bottleneck 3 min 4 s All stages 3 min 19 s",
        "Snapshot 9f3a51c2",
    ):
        assert shown in page.text


def test_without_a_cross_validation_its_figure_is_left_out(report: Report) -> None:
    text = Page(render_report(replace(report, summary=replace(report.summary, cross_validation=None)))).text
    assert "Test accuracy 66.7 %" in text
    assert "Cross-validated" not in text


def test_counts_stand_by_label_and_split_with_their_sums(page: Page) -> None:
    assert "Label Train Validation Test All daisy 1,000 20 30 1,050" in page.text
    assert "All labels 1,803 74 95 1,972" in page.text


def test_scores_stand_by_label_with_a_dash_for_what_is_undefined(page: Page) -> None:
    assert "No. Label Precision Recall F1 Photos 1 daisy 0.500 1.000 0.667 1" in page.text
    assert "3 雏菊 — — — 0" in page.text


def test_a_mistake_says_what_it_was_taken_for_and_how_surely(page: Page) -> None:
    assert f"1 mistake in the test split. daisy 70.0 % is {EVIL} x/{EVIL}.jpg" in page.text


def test_it_says_that_not_all_mistakes_are_shown(report: Report) -> None:
    one_shown = replace(report, metrics=replace(report.metrics, photos=9, correct=2))
    assert "7 mistakes in the test split; the 1 most confident are shown." in Page(render_report(one_shown)).text


def test_conflicts_and_duplicates_list_every_path(page: Page) -> None:
    assert f"daisy, {EVIL} daisy/c.jpg x/{EVIL}" in page.text
    assert "daisy daisy/d.jpg daisy/e.jpg" in page.text


def test_long_lists_are_cut_and_say_how_many_more_there_are(report: Report) -> None:
    many = [Missing(f"daisy/{number:04}.jpg", "empty", "no bytes") for number in range(LISTED + 1234)]
    text = Page(render_report(replace(report, rejected=many))).text
    assert "1,334 photos rejected" in text
    assert f"These are the first {LISTED}; 1,234 photos more." in text
    assert text.count("no bytes") == LISTED


def test_a_run_without_mistakes_and_left_out_photos_says_so(report: Report) -> None:
    good = measure(np.array([0, 1]), np.eye(3, dtype=np.float32)[:2], LABELS)
    quiet = replace(report, metrics=good, notes=[], mistakes=[], rejected=[], conflicts=[], duplicates=[])
    page = Page(render_report(replace(quiet, summary=replace(report.summary, rejected=0))))
    for shown in (
        "None: all 2 photos of the test split are predicted rightly.",
        "No photo was rejected.",
        "No photo lies under several labels.",
        "No photo lies twice under one label.",
    ):
        assert shown in page.text
    assert "notes" not in [tag.get("id") for tag in page.all("section")]


def test_the_learning_curve_is_shown_where_somebody_watched_the_training(report: Report, page: Page) -> None:
    watched = Page(render_report(replace(report, learning_curve=report.confusion_matrix)))
    assert len(watched.all("img")) == len(page.all("img")) + 1
    assert watched.all("img")[-1]["alt"].startswith("Learning curve")
    for shown, there in ((watched, True), (page, False)):
        assert ({"href": "#learning"} in shown.all("a")) is there
        assert ("learning" in [tag.get("id") for tag in shown.all("section")]) is there


def test_tables_have_captions_and_their_headings_a_scope(page: Page) -> None:
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert all(tag.get("scope") in {"col", "row"} for tag in page.all("th"))


def test_links_lead_to_sections_and_ids_are_used_once(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {tag["href"] for tag in page.all("a")} <= {f"#{name}" for name in ids}


def test_headings_leave_out_no_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_adapts_to_phones_dark_rooms_and_paper(page: Page) -> None:
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in page.html
    assert "@media print" in page.html


@pytest.mark.parametrize(
    ("kind", "size", "mode", "expected"),
    [
        ("JPEG", (288, 288), "RGB", (144, 144)),
        ("PNG", (288, 144), "RGB", (144, 72)),
        ("PNG", (300, 300), "L", (144, 144)),
        ("JPEG", (60, 40), "RGB", (60, 40)),
    ],
)
def test_thumbnails_are_small_jpegs_of_the_same_proportions(
    kind: str, size: tuple[int, int], mode: str, expected: tuple[int, int]
) -> None:
    with Image.open(io.BytesIO(thumbnail(image(kind, size, mode)))) as small:
        assert (small.format, small.mode, small.size) == ("JPEG", "RGB", expected)


def test_a_thumbnail_looks_like_its_photo(flower_photos: Path) -> None:
    """Its mean colours in a grid of 8 x 8 are those of the photo, within a few levels of 255."""
    photo = next(path for path in sorted((flower_photos / "roses").iterdir()) if path.suffix == ".jpg")
    grids = []
    for data in (photo.read_bytes(), thumbnail(photo.read_bytes())):
        with Image.open(io.BytesIO(data)) as opened:
            grids.append(np.asarray(opened.convert("RGB").resize((8, 8), Image.Resampling.BOX), np.int16))
    assert np.abs(grids[0] - grids[1]).max() < 12

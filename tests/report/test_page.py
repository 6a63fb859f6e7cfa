"""The report's structure and the text of its sections; test_browser opens it in a browser."""

import base64
import hashlib
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.champion.decision import Bounds, Comparison, KeptBy, LabelComparison
from tasks.decode.rejections import MissingPhoto
from tasks.report.build import Report
from tasks.report.dataset import PhotoPath, RepeatedPhoto, RepeatedPhotos, SnapshotChanges
from tasks.report.gallery import Guess, ShownPhoto
from tasks.report.inline_images import side_for
from tasks.report.label_issues import ShownIssues
from tasks.report.page import LISTED, LISTED_RUNS, headline_of, render_report
from tasks.report.templates import VERDICT_WORDS
from tasks.runs.records import VERDICTS, Verdict
from tests.report.made_up import DECISION, EVIL, LABELS, draw_photo, make_up_report, make_up_run, results_of
from tests.report.parsed import Page, text_of

EQUAL = Comparison(0, 90, 5, 5, 2, Bounds(0.0, 0.0, 0.95), 0.5)
GUESS = Guess(ShownPhoto("daisy/0.jpg", "daisy", draw_photo(0)), "daisy", 0.41, LABELS[2], 0.4)


def sha256_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_asks_for_nothing_and_its_policy_lets_in_nothing_but_its_own_style_and_script(page: Page) -> None:
    assert all(tag["src"].startswith("data:image/webp;base64,") for tag in page.all("img"))
    assert [tag["href"] for tag in page.all("link")] == ["data:,"]
    assert {tag["href"] for tag in page.all("a") if not tag["href"].startswith("#")} == {"../../index.html"}
    assert "url(" not in page.html.replace("url(#", "")  # within a figure
    assert "@import" not in page.html
    content = next(tag["content"] for tag in page.all("meta") if "http-equiv" in tag)
    parts = (directive.strip().partition(" ") for directive in content.split(";"))
    policy = {name: value for name, _, value in parts}
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
        f"x/{EVIL}.jpg",
        f"daisy/{EVIL}.jpg",
        f"ends early {EVIL}",
        f"daisy, {EVIL}",
        f"note {EVIL}",
    ):
        assert shown in page.text
    assert sum(EVIL in tag["alt"] for tag in page.all("img")) > 5


def test_every_picture_has_an_alternative_text_and_its_proportions(page: Page, report: Report) -> None:
    pictures = page.all("img")
    assert report.label_issues is not None
    shown = (report.added, report.samples, report.mistakes, report.uncertain, report.label_issues.photos)
    # Of the photos that lie at several paths, one has a picture, and of drift two; near duplicates have smaller ones.
    assert len(pictures) == 3 + sum(map(len, shown)) + 6
    for tag, side in zip(pictures, [224] * (len(pictures) - 6) + [160] * 6, strict=True):
        assert tag["alt"].strip()
        with Image.open(io.BytesIO(base64.b64decode(tag["src"].partition(",")[2], validate=True))) as opened:
            assert opened.size == (int(tag["width"]), int(tag["height"])) == (side, side)


def test_figures_stand_in_the_page_as_they_are(page: Page, report: Report) -> None:
    for svg in vars(report.figures).values():
        assert page.html.count(svg) == 1


def test_label_issues_are_counted_and_shown_with_both_labels(page: Page, report: Report) -> None:
    assert report.label_issues is not None
    assert "30 labels of 2,000 photos look wrong" in page.text
    assert "The 4 worst are shown" in page.text
    selects = page.all("select")
    assert [(tag["data-sha256"], tag["data-path"], tag["data-label"], tag["data-suggested"]) for tag in selects] == [
        (issue.sha256, issue.path, issue.label, issue.suggested) for _, issue in report.label_issues.photos
    ]
    assert page.text.count("a near duplicate is labelled otherwise") == 1
    none = Page(render_report(replace(report, label_issues=ShownIssues(0, []))))
    assert "agree with its label" in none.text
    assert "download-corrections" not in {attributes.get("id") for _, attributes in none.tags}


def test_a_first_run_says_what_there_is_and_has_no_empty_parts(first: Page) -> None:
    for shown in (
        "The first model of this dataset, and so its champion.",
        "This is the first run of the dataset: all photos are new.",
        "None: all 5 photos of the test split are predicted rightly.",
        "There was nothing to compare: no earlier run of the dataset.",
        "No photo was rejected.",
        "No photo lies under several labels.",
        "No photo lies twice under one label.",
        "None was found: no two photos show one picture",
    ):
        assert shown in first.text
    for absent in (
        "Is this model better",
        "Cross-validated",
        "Label issues",
        "Previous run",
        "Exported",
        "Least certain",
        "Learning",
    ):
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
        ("stays", (-0.05, -0.01), "bad", "No: worse than the champion, which stays"),
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


@pytest.mark.parametrize(
    ("kept_by", "tone", "words"),
    [
        ("accuracy", "bad", "No: worse than the champion, which stays."),
        ("label", "bad", "worse than the champion on a label"),
        ("date", "careful", "the champion of a later date"),
        ("pin", "careful", "The champion is pinned"),
        ("rollback", "careful", "A person rolled back from this model"),
    ],
)
def test_every_reason_for_which_a_champion_stays_has_its_words(kept_by: KeptBy, tone: str, words: str) -> None:
    found = headline_of(replace(DECISION, verdict="stays", kept_by=kept_by))
    assert found[0] == tone
    assert words in found[1]


def test_a_model_that_is_refused_because_of_drift_has_its_words() -> None:
    found = headline_of(replace(DECISION, verdict="refused", kept_by="drift"))
    assert found == ("bad", "Refused: its new photos differ from earlier ones.")


def test_the_properties_of_new_photos_are_shown_with_photos_of_those_that_changed(page: Page, report: Report) -> None:
    for shown in (
        "200 new photos and 1,500 earlier photos. The new photos differ in 2 of 3 properties.",
        f"label {EVIL} 40 % 20 % 0.44 < 0.0001 yes",
        "vectors 1.53 standard deviations apart 1.53 0.0022 yes",
        "pixels 76,800 120,000 0.10 0.6 no",
        f"label {EVIL} 40 % (earlier 20 %): new photos that show it",
    ):
        assert shown in page.text
    assert report.drift is not None
    quiet = replace(report.drift.result, tests=report.drift.result.tests[-1:])
    text = text_of(replace(report, drift=replace(report.drift, result=quiet, photos={})))
    assert "The new photos do not differ from the earlier ones beyond chance." in text
    assert "Drift" not in text_of(replace(report, drift=None))


def test_the_labels_that_were_compared_are_shown_the_worst_first(report: Report) -> None:
    assert report.decision.comparison is not None
    labels = [LabelComparison(f"label {at}", 40, 20 + at, 31, 0.01 * (6 - at)) for at in range(6)]
    labels.append(LabelComparison(EVIL, 30, 30, 29, 1.0))
    comparison = replace(report.decision.comparison, labels=tuple(labels))
    text = text_of(replace(report, decision=replace(report.decision, comparison=comparison)))
    assert "Label label 5: 25 of 40 photos right in place of 31, p = 0.01, worse Label label 4: 24 of 40" in text
    assert "Label label 1: 21 of 40 photos right in place of 31, p = 0.05, worse" in text
    assert "Label label 0" not in text


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


def test_sections_show_the_values_of_the_report_and_first_whether_the_model_is_better(page: Page) -> None:
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
        "Label Train Validation Test All daisy 800 50 60 910",
        "All labels 4,400 250 300 4,950",
        "Since 2026-11-23 Label Added Removed Had another label daisy 3 1 0",
        f"{EVIL} 70.0 % but it is daisy x/{EVIL}.jpg",
        f"daisy, {EVIL} daisy/c.jpg x/{EVIL}",
        "daisy daisy/d.jpg daisy/e.jpg",
        "70 photos in 30 groups, 1 of them with different labels: one picture",
        "9 test photos have a near duplicate in training. On the 51 other test photos, the accuracy is 18.5 % (10.0 %",
        "Not shown: 28 groups more. All are in",
        f"2 photos, 2 labels daisy test, 0.80 daisy/400.jpg {EVIL} test, 0.80 {EVIL}/401.jpg",
        "6 photos, 4 shown daisy test, 0.80 daisy/402.jpg",
        f"Provenance Keys snapshot 9f3a51c2 Parameters note {EVIL} shrinkage 0.03,0.1",
        "decode 14.6 s bottleneck 3 min 4 s All stages 3 min 19 s",
    ):
        assert shown in page.text
    assert [tag["alt"] for tag in page.all("img")][:2] == ["New photo labelled daisy"] * 2


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"changes": SnapshotChanges([], []), "added": []}, "None: the photos are those of 2026-11-23."),
        ({"changes": None}, "The changes are not known."),
        ({"uncertain": [GUESS]}, f"daisy 41.0 % or {LABELS[2]} 40.0 % and it is daisy daisy/0.jpg"),
        ({"decision": replace(DECISION, comparison=EQUAL)}, "interval 0.0 to 0.0"),
        (
            {"exports": {"test": {"saved_model": {"agreement": None}, "model.tflite": {"agreement": 0.97}}}},
            "Exported files that agree 97.0 % saved_model not tested model.tflite 97.0 %",
        ),
        (
            {"exports": {"test": {"saved_model": {"agreement": None}, "model.keras": {"agreement": None}}}},
            "Exported files that agree not tested saved_model not tested model.keras",
        ),
        (
            {"exports": {"test": {"saved_model": {"agreement": 0.2}}, "refused": "It is wrong."}},
            "Exported files that agree refused saved_model 20.0 %",
        ),
    ],
)
def test_other_values_are_shown_in_their_words(report: Report, changes: dict[str, Any], shown: str) -> None:
    assert shown in text_of(replace(report, **changes))


def test_scores_stand_by_label_with_intervals_and_a_dash_for_what_is_undefined(report: Report) -> None:
    results = results_of(np.array([0, 1, 1]), np.eye(5, dtype=np.float32)[[0, 0, 1]], LABELS)
    text = text_of(replace(report, results=results))
    assert "1 daisy 1 0.500 0.09 to 0.91 1.000 0.21 to 1.00 0.667 0.500" in text
    assert f"3 {LABELS[2]} 0 — — — 0.500" in text


def test_long_lists_are_cut_and_say_how_many_more_there_are(report: Report, data_root: Path) -> None:
    rejected = [MissingPhoto(f"daisy/{number:04}.jpg", "empty", "no bytes") for number in range(LISTED + 1234)]
    paths = [PhotoPath(f"daisy/copy-{number:04}.jpg", "daisy") for number in range(LISTED + 7)]
    metrics = replace(report.results.metrics, photos=59, correct=2)
    text = text_of(
        replace(
            report,
            rejected=rejected,
            repeated=RepeatedPhotos([], [RepeatedPhoto("d", paths)] * (LISTED + 1)),
            results=replace(report.results, metrics=metrics),
            runs=[make_up_run(data_root, days, 0.9) for days in range(LISTED_RUNS + 4, -1, -1)],
        )
    )
    assert "1,334 photos rejected" in text
    assert f"These are the first {LISTED}; 1,234 photos more." in text
    assert f"These are the first {LISTED}; 1 photo more." in text
    assert "and 7 paths more" in text
    assert text.count("no bytes") == LISTED
    assert "57 mistakes in the test split; the 5 most confident are shown." in text
    assert f"The last {LISTED_RUNS} of {LISTED_RUNS + 5} runs, the newest first" in text


def test_many_labels_share_one_grid_of_samples_that_names_them_and_photos_shrink(data_root: Path) -> None:
    report = make_up_report(data_root, [f"label {number:03}" for number in range(41)], map_points=50)
    page = Page(render_report(replace(report, samples=3 * [*report.samples])))
    pictures = page.all("img")
    side = side_for(len(pictures) - 6)
    assert {int(tag["width"]) for tag in pictures[:-6]} == {side}
    assert side < 224
    assert not page.all("h4")
    assert "label 000 label 000/0.jpg label 000 label 000/1.jpg" in page.text


def test_runs_are_listed_the_newest_first_with_links_to_reports_that_are_there(tmp_path: Path) -> None:
    report = make_up_report(tmp_path, map_points=10)
    there = report.runs[-3].report
    there.parent.mkdir(parents=True)
    there.touch()
    page = Page(render_report(report))
    links = [tag["href"] for tag in page.all("a") if "report.html" in tag["href"]]
    assert links == [f"../../report/{there.parent.name}/report.html"]
    assert "2026-11-24 champion stays 89.0 % 84.1 % to 92.5 % 2,000 10 12.3 s 2026-11-23 new champion" in page.text

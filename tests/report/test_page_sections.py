"""What the report's sections say of data, results, photos and runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.champion.decision import Bounds, Comparison
from tasks.decode.rejections import MissingPhoto
from tasks.report.build import Report
from tasks.report.dataset import PhotoPath, RepeatedPhoto, RepeatedPhotos, SnapshotChanges
from tasks.report.gallery import Guess, ShownPhoto
from tasks.report.inline_images import side_for
from tasks.report.page import LISTED, LISTED_RUNS, render_report
from tasks.report.reported_run import Exports
from tests.report.made_up import DECISION, EVIL, LABELS, draw_photo, make_up_report, make_up_run, results_of
from tests.report.parsed import Page, text_of

EQUAL = Comparison(0, 90, 5, 5, 2, Bounds(0.0, 0.0, 0.95), 0.5)
GUESS = Guess(ShownPhoto("daisy/0.jpg", "daisy", draw_photo(0)), "daisy", 0.41, LABELS[2], 0.4)


def test_sections_show_the_values_of_the_report(page: Page) -> None:
    for shown in (
        "Label Train Validation Test All daisy 800 50 60 910",
        "All labels 4,400 250 300 4,950",
        "Since 2026-11-23 Label Added Removed Had another label daisy 3 1 0",
        f"{EVIL} 70.0 % but it is daisy x/{EVIL}.jpg",
        f"daisy, {EVIL} daisy/c.jpg x/{EVIL}",
        "daisy daisy/d.jpg daisy/e.jpg",
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
            {"exports": Exports({"saved_model": None, "model.tflite": 0.97}, False, "")},
            "Exported files that agree 97.0 % saved_model not tested model.tflite 97.0 %",
        ),
        (
            {"exports": Exports({"saved_model": None, "model.keras": None}, False, "")},
            "Exported files that agree not tested saved_model not tested model.keras",
        ),
        ({"exports": Exports({"saved_model": 0.2}, True, "")}, "Exported files that agree refused saved_model 20.0 %"),
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
    assert {int(tag["width"]) for tag in pictures} == {side_for(len(pictures))}
    assert side_for(len(pictures)) < 224
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

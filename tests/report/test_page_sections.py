"""What the report's sections say of data, results, photos and runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.decode.rejections import MissingPhoto
from tasks.report.build import Report
from tasks.report.dataset import PhotoPath, RepeatedPhoto, RepeatedPhotos, SnapshotChanges
from tasks.report.gallery import Guess
from tasks.report.page import LISTED, LISTED_RUNS, render_report
from tests.report.made_up import EVIL, LABELS, draw_photo, make_up_report, make_up_run, results_of
from tests.report.parsed import Page, text_of


def test_an_unchanged_dataset_has_no_changes_and_unknown_ones_are_not_taken_for_a_first_run(report: Report) -> None:
    unchanged = replace(report, changes=SnapshotChanges([], []), added=[])
    assert "None: the photos are those of 2026-11-23." in text_of(unchanged)
    assert "The changes are not known." in text_of(replace(report, changes=None))


def test_counts_stand_by_label_and_split_with_their_sums(page: Page) -> None:
    assert "Label Train Validation Test All daisy 800 50 60 910" in page.text
    assert "All labels 4,400 250 300 4,950" in page.text


def test_what_is_new_stands_by_label_with_some_photos(page: Page) -> None:
    assert "Since 2026-11-23 Label Added Removed Had another label daisy 3 1 0" in page.text
    assert [tag["alt"] for tag in page.all("img")][:2] == ["New photo labelled daisy"] * 2


def test_scores_stand_by_label_with_intervals_and_a_dash_for_what_is_undefined(report: Report) -> None:
    results = results_of(np.array([0, 1, 1]), np.eye(5, dtype=np.float32)[[0, 0, 1]], LABELS)
    text = text_of(replace(report, results=results))
    assert "1 daisy 1 0.500 0.09 to 0.91 1.000 0.21 to 1.00 0.667 0.500" in text
    assert f"3 {LABELS[2]} 0 — — — 0.500" in text


def test_a_mistake_says_what_it_was_taken_for_and_how_surely(page: Page) -> None:
    assert f"{EVIL} 70.0 % but it is daisy x/{EVIL}.jpg" in page.text


def test_an_uncertain_photo_says_its_two_likeliest_labels(report: Report) -> None:
    guess = Guess(report.samples[0], "daisy", 0.41, LABELS[2], 0.4)
    text = text_of(replace(report, uncertain=[guess]))
    assert f"daisy 41.0 % or {LABELS[2]} 40.0 % and it is daisy daisy/0.jpg" in text


def test_it_says_that_not_all_mistakes_are_shown(report: Report) -> None:
    results = replace(report.results, metrics=replace(report.results.metrics, photos=59, correct=2))
    text = text_of(replace(report, results=results))
    assert "57 mistakes in the test split; the 5 most confident are shown." in text


def test_conflicts_and_duplicates_list_every_path(page: Page) -> None:
    assert f"daisy, {EVIL} daisy/c.jpg x/{EVIL}" in page.text
    assert "daisy daisy/d.jpg daisy/e.jpg" in page.text


def test_long_lists_are_cut_and_say_how_many_more_there_are(report: Report) -> None:
    rejected = [MissingPhoto(f"daisy/{number:04}.jpg", "empty", "no bytes") for number in range(LISTED + 1234)]
    paths = [PhotoPath(f"daisy/copy-{number:04}.jpg", "daisy") for number in range(LISTED + 7)]
    text = text_of(
        replace(report, rejected=rejected, repeated=RepeatedPhotos([], [RepeatedPhoto("d", paths)] * (LISTED + 1)))
    )
    assert "1,334 photos rejected" in text
    assert f"These are the first {LISTED}; 1,234 photos more." in text
    assert f"These are the first {LISTED}; 1 photo more." in text
    assert "and 7 paths more" in text
    assert text.count("no bytes") == LISTED


def test_many_labels_share_one_grid_of_samples_that_names_them(root: Path) -> None:
    labels = [f"label {number:03}" for number in range(41)]
    page = Page(render_report(make_up_report(root, labels, map_points=50)))
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


def test_of_many_runs_the_last_ones_are_listed(report: Report, root: Path) -> None:
    runs = [make_up_run(root, days, 0.9) for days in range(LISTED_RUNS + 4, -1, -1)]
    assert f"The last {LISTED_RUNS} of {LISTED_RUNS + 5} runs, the newest first" in text_of(replace(report, runs=runs))


def test_the_provenance_has_all_groups_and_the_stages_their_time(page: Page) -> None:
    assert f"Provenance Keys snapshot 9f3a51c2 Parameters note {EVIL} shrinkage 0.03,0.1" in page.text.replace(
        "  ", " "
    )
    assert "decode 14.6 s bottleneck 3 min 4 s All stages 3 min 19 s" in page.text


def test_photos_shrink_as_they_become_more(report: Report) -> None:
    """Three times as many make a page less than twice as long."""
    noise = [report.samples[0]._replace(image=draw_photo(number, 300)) for number in range(40)]
    few, many = (
        len(render_report(replace(report, samples=noise * times, mistakes=[], uncertain=[], added=[], map=None)))
        for times in (4, 12)
    )
    assert many < 2 * few

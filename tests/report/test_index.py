"""The index: every dataset's runs, the newest first, with links to the reports that are there."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.champion.champion_file import publish_champion
from tasks.paths import to_path
from tasks.report.index import LISTED_RUNS, publish_index, render_index
from tasks.runs.records import RunRecord
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tests.report.made_up import EVIL, make_up_run
from tests.report.parsed import Page
from tests.support.data_root import TEST, first_champion, keep_run
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore


def keep_runs(root: DataRoot, count: int, dataset: str = "flowers") -> list[RunRecord]:
    """Records of the last `count` days, the oldest first."""
    runs = [make_up_run(root.path, days, 0.9 - 0.001 * (days % 50), dataset) for days in range(count - 1, -1, -1)]
    for run in runs:
        keep_run(run)
    return runs


def render(root: DataRoot[Path]) -> Page:
    return Page(render_index(root))


def links_of(page: Page) -> list[str]:
    return [tag["href"] for tag in page.all("a") if not tag["href"].startswith("#")]


def test_runs_stand_the_newest_first_below_the_champion_with_links_to_reports_that_are_there(
    root: DataRoot[Path],
) -> None:
    runs = keep_runs(root, 3)
    keep_run(replace(make_up_run(root.path, 0, 0.9, "old"), verdict=None))
    champion = replace(first_champion(runs[1].model, runs[1].date), test={**TEST, "accuracy": 0.931})
    publish_champion(root.champion("flowers"), "flowers", champion)
    publish_bytes(runs[1].report, b"<!doctype html>")
    page = render(root)
    for shown in (
        "All runs 4 runs of 2 datasets",
        f"Champion 93.1 % {runs[1].model} since 2026-11-23 , its report",
        "2026-11-24 champion stays 90.0 % 85.2 % to 93.2 % 2,000 10 12.3 s 2026-11-23 new champion",
        "Champion none no model has been chosen yet Last run 90.0 % 2026-11-24",
        "2026-11-24 none 90.0 %",  # as records of an earlier version
    ):
        assert shown in page.text
    assert page.text.index("2026-11-23 new champion") < page.text.index("2026-11-22 champion stays")
    assert links_of(page) == [f"report/{runs[1].model}/report.html"] * 2


@pytest.mark.parametrize(
    ("accuracies", "line"),
    [((0.8, 0.9, 0.85), "8.0,72.0 300.0,8.0 592.0,40.0"), ((0.9, 0.9), "8.0,40.0 592.0,40.0")],
    ids=["rises and falls", "noise does not fill it"],
)
def test_the_line_of_accuracies_rises_and_falls_with_them(
    root: DataRoot[Path], accuracies: tuple[float, ...], line: str
) -> None:
    for days, accuracy in enumerate(reversed(accuracies)):
        keep_run(make_up_run(root.path, days, accuracy))
    page = render(root)
    assert page.all("polyline")[0]["points"] == line
    assert page.all("circle")[0].items() >= {"cx": "592.0", "cy": "40.0"}.items()
    label = f"Test accuracy of {len(accuracies)} runs, between {100 * min(accuracies) - (len(accuracies) == 2):.1f}"
    assert any(label in tag.get("aria-label", "") for tag in page.all("svg"))


def test_of_hundreds_of_runs_the_last_ones_are_listed_and_all_are_in_the_line(root: DataRoot[Path]) -> None:
    keep_runs(root, 250)
    page = render(root)
    assert f"Not listed: {250 - LISTED_RUNS} earlier runs" in page.text
    assert len(page.all("tr")) == 1 + LISTED_RUNS
    assert "Runs 250 since 2026-03-20" in page.text
    points = page.all("polyline")[0]["points"].split()
    assert len(points) <= 200
    assert points[-1].startswith("592.0,")
    assert len(page.html) < 60_000


def test_damaged_files_are_named_and_the_rest_is_shown(root: DataRoot[Path]) -> None:
    keep_runs(root, 2, "tulips")
    damaged = keep_runs(root, 1)[0].record
    damaged.write_text("{")
    root.champion("tulips").parent.mkdir()
    root.champion("tulips").write_text("{}")
    page = render(root)
    assert f"{damaged}" in page.text
    assert f"{root.champion('tulips')} names no champion" in page.text
    assert "2026-11-24 champion stays" in page.text
    assert (len(page.all("table")), len(page.all("tr"))) == (1, 3)


def test_a_data_root_without_runs_says_how_to_make_one(root: DataRoot[Path]) -> None:
    text = render(root).text
    assert "0 runs of 0 datasets" in text
    assert "There is no run yet. luigi --module pipeline RetrainFlowers makes the first one." in text


@pytest.mark.parametrize("name", [EVIL.replace("/", "-"), '"><svg onload=alert(1)>'])
def test_names_of_datasets_are_shown_as_they_are_and_reached_from_the_top(root: DataRoot[Path], name: str) -> None:
    keep_runs(root, 1, name)
    keep_runs(root, 1, "tulips")
    page = render(root)
    assert page.text.count(name) == 2
    assert not [tag for tag, _ in page.tags if tag in {"script", "svg"}]
    ids = {f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes}
    assert {tag["href"] for tag in page.all("a") if tag["href"].startswith("#")} <= ids


def test_publishing_replaces_the_page(root: DataRoot[Path]) -> None:
    keep_runs(root, 1)
    publish_index(root)
    before = root.index().read_text(encoding="utf-8")
    keep_run(make_up_run(root.path, 1, 0.8))
    publish_index(root)
    assert "2026-11-23" not in before
    assert "2026-11-23" in root.index().read_text(encoding="utf-8")


def test_the_page_of_a_store_leads_to_its_reports_and_asks_for_none_of_them_alone(
    object_store: ObjectStore, gateway: Gateway
) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    runs = keep_runs(root, 30)[::-1]
    for run in runs[::2]:
        publish_bytes(run.report, b"<!doctype html>")
    with gateway.counting() as counted:
        publish_index(root)
    assert (counted["GET"], counted["HEAD"]) == (31, 0), "each record, and the champion"
    page = Page(root.index().read_text(encoding="utf-8"))
    assert links_of(page) == [f"report/{run.model}/report.html" for run in runs[::2]]

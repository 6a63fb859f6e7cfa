"""A report of made-up values, and pages of a data root in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks.report.build import Report
from tasks.report.index import publish_index
from tasks.report.page import render_report
from tasks.storage.files import local
from tasks.storage.layout import DataRoot
from tests.report.browser import Site, Visit, open_browser, visiting
from tests.report.made_up import EVIL, make_up_first_report, make_up_report, make_up_run
from tests.report.parsed import Page
from tests.support.data_root import keep_run


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with nothing in it."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def report(data_root: Path) -> Report:
    """A report of everything that there can be."""
    return make_up_report(data_root, map_points=60)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    """The report, parsed."""
    return Page(render_report(report))


@pytest.fixture(scope="module")
def first(data_root: Path) -> Page:
    """The report of a dataset's first run, parsed."""
    return Page(render_report(make_up_first_report(data_root)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A data root with three reports, of which two stand for those of earlier runs, and their index."""
    root = DataRoot(tmp_path_factory.mktemp("data with blank"))
    runs = [make_up_run(root.path, days, 0.85 + 0.01 * days) for days in (2, 1, 0)]
    for run in runs:
        run.report.parent.mkdir(parents=True)
        run.report.touch()
        keep_run(run)
    keep_run(make_up_run(root.path, 5, 0.9, dataset="غابة & <b>"))
    many = make_up_report(root.path, [f"label {number:02} {EVIL}" for number in range(30)])
    reports = (make_up_first_report(root.path), many, make_up_report(root.path))
    for run, report in zip(runs, reports, strict=True):
        run.report.write_text(render_report(report), encoding="utf-8")
    first, many_path, full = (local(run.report) for run in runs)
    publish_index(root)
    return Site(full, many_path, first, local(root.index()))


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """The report in a wide window; the browser must not complain, whatever a test does."""
    with visiting(browser, site.report) as visit:
        yield visit
        assert visit.complaints == []

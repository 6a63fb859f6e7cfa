"""`python -m pipeline open`: which report it finds, and that it starts a browser only on a desktop."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tasks.paths import to_path
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, assert_error, verb_process
from tests.support.data_root import keep, record
from tests.support.processes import until
from tests.support.servers.object_store import ObjectStore

pytestmark = pytest.mark.slow

DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@pytest.fixture
def two(root: DataRoot[Path]) -> DataRoot[Path]:
    """Two runs with reports; that of the earlier date ended last."""
    for date, ended in (("2026-11-20", "2026-11-23"), ("2026-11-22", "2026-11-22")):
        made = record(root, date, finished=f"{ended}T03:00:00+00:00")
        keep(root, made)
        Path(made["report"]).parent.mkdir(parents=True)
        Path(made["report"]).write_text("<!doctype html>")
    return root


def report(root: DataRoot[Path], date: str) -> Path:
    return root.report(f"of-{date}") / "report.html"


def call(root: DataRoot, *arguments: str, **desktop: str) -> Finished:
    """Run the command without this machine's desktop."""
    bare = {name: value for name, value in os.environ.items() if name not in DESKTOP}
    return verb_process("open", "--data-root", root.path, *arguments, environment={**bare, **desktop})


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A program that writes what it is to open beside itself."""
    program = tmp_path / "browser.sh"
    program.write_text('#!/bin/sh\nprintf %s "$1" > "$0.new" && mv "$0.new" "$0.opened"\n')
    program.chmod(0o755)
    return program


def opened(browser: Path) -> str | None:
    """The address that the browser was given, if it was started."""
    told = Path(f"{browser}.opened")
    return told.read_text() if told.exists() else None


def wait_for(browser: Path) -> str | None:
    until(lambda: opened(browser) is not None)
    return opened(browser)


def test_the_report_of_the_run_that_ended_last_is_opened_on_a_desktop(two: DataRoot[Path], browser: Path) -> None:
    done = call(two, DISPLAY=":9", BROWSER=str(browser))
    path = report(two, "2026-11-20")
    assert (done.code, done.output, done.errors) == (0, f"{path}\n", "")
    assert wait_for(browser) == path.as_uri()


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac always has a desktop")
@pytest.mark.parametrize(
    ("arguments", "desktop"), [(["flowers"], {}), (["--no-browser"], {"WAYLAND_DISPLAY": "wayland-0"})]
)
def test_without_a_desktop_or_on_request_the_path_is_only_printed(
    two: DataRoot[Path], browser: Path, arguments: list[str], desktop: dict[str, str]
) -> None:
    done = call(two, *arguments, BROWSER=str(browser), **desktop)
    assert done == Finished(0, f"{report(two, '2026-11-20')}\n", "")
    assert opened(browser) is None


def test_the_index_is_opened_instead(two: DataRoot[Path], browser: Path) -> None:
    missing = call(two, "--index", "--no-browser")
    assert (missing.code, missing.output) == (1, "")
    assert str(two.index()) in missing.errors
    two.index().write_text("<!doctype html>")
    done = call(two, "--index", WAYLAND_DISPLAY="wayland-0", BROWSER=str(browser))
    assert (done.code, done.output) == (0, f"{two.index()}\n")
    assert wait_for(browser) == two.index().as_uri()


def test_a_data_root_that_was_moved_still_has_its_report(
    two: DataRoot[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    moved = DataRoot(two.path.rename(tmp_path_factory.mktemp("moved")))
    assert call(moved, "--no-browser").output == f"{report(moved, '2026-11-20')}\n"


def test_a_report_that_is_gone_is_named_with_the_remedy(two: DataRoot[Path]) -> None:
    report(two, "2026-11-20").unlink()
    done = call(two)
    assert done.output == ""
    assert_error(done, 1, str(report(two, "2026-11-20")), "run again")


def test_without_a_run_it_says_how_to_start_one(root: DataRoot[Path]) -> None:
    assert_error(call(root), 1, "luigi --module pipeline RetrainFlowers")


def test_a_report_on_a_store_is_copied_with_the_pages_that_it_links_to(
    object_store: ObjectStore, browser: Path, tmp_path: Path
) -> None:
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    publish_pages(root, 3)
    desktop = {"DISPLAY": ":9", "BROWSER": str(browser), "TMPDIR": str(tmp_path)}
    address = f"{root.report('of-2026-11-03')}/report.html"
    done = call(root, **desktop)
    assert (done.code, done.output) == (0, f"{address}\n")
    page = local_page(wait_for(browser))
    assert done.errors == f"Opened is a copy: {page}\n"
    assert reached_from(page) == ["report 2", "report 1", "index 3"]

    # Another run, and the first one is gone.
    publish_pages(root, 4, first=2)
    Path(f"{browser}.opened").unlink()
    assert call(root, "--index", **desktop).output == f"{root.index()}\n"
    index = local_page(wait_for(browser))
    assert index == page.parent.parent.parent / "index.html"
    assert reached_from(index) == ["report 4", "report 3", "report 2"]
    assert not (index.parent / "report" / "of-2026-11-01").exists(), "copies that nothing links to do not pile up"


def publish_pages(root: DataRoot, runs: int, first: int = 1) -> None:
    """Publish records, reports and the index of a few runs; the last report and the index link to all others."""
    days = range(runs, first - 1, -1)
    for day in days:
        made = record(root, f"2026-11-{day:02}")
        keep(root, made)
        others = [f"../../report/of-2026-11-{other:02}/report.html" for other in days if other < day == runs]
        links = [f'<a href="{link}">' for link in [*others, "../../index.html"] if day == runs]
        publish_bytes(to_path(made["report"]), f"report {day}{''.join(links)}".encode())
    links = [f'<a href="report/of-2026-11-{day:02}/report.html">' for day in days]
    publish_bytes(root.index(), f"index {runs}{''.join(links)}".encode())


def local_page(opened: str | None) -> Path:
    assert opened is not None
    return Path(url2pathname(urlsplit(opened).path))


def reached_from(page: Path) -> list[str]:
    """Titles of the pages that a page links to."""
    places = [page.parent / link for link in re.findall('href="([^"]+)"', page.read_text())]
    return [place.read_text().partition("<")[0] for place in places]

"""`python -m pipeline open`: open the newest report in the browser."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.history import read_newest
from pipeline.cli.page_copies import PageCopies
from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote
from tasks.storage.layout import DataRoot

HELP = (
    "Print the path of the newest report, and open it in the browser on a desktop.",
    "DATASET is a name in data/runs, or a value of --dataset; without it, all datasets count. The newest report is "
    "that of the run that ended last.",
    "A browser is opened on macOS, and on Linux where DISPLAY or WAYLAND_DISPLAY is set; BROWSER may name another "
    "one than the desktop's own. Of a data root on an object store a copy on this machine is opened, and the "
    "reports that it links to are copied beside it.",
    "The exit code is 0, or 1 where there is no report.",
    "Examples:",
    "  python -m pipeline open",
    "  python -m pipeline open flower_photos --no-browser",
    "  python -m pipeline open --index",
)


def open_report(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Name of the dataset, or a value of --dataset.")
    ] = None,
    data_root: DataRootOption = DEFAULT,
    index: Annotated[bool, typer.Option("--index", help="Open the page that lists all runs instead.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open it, or only print.")] = True,
) -> None:
    """Print, and on a desktop open, the newest report."""
    with report_errors():
        root = open_root(data_root)
        page = _index(root) if index else _newest(dataset, root)
        typer.echo(page)
        on_desktop = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
        if not browser or not on_desktop:
            return
        # A browser opens local files only.
        if is_remote(page):
            _show_copy(page, root)
        else:
            _show(page)


def _show(page: Path) -> None:
    if not webbrowser.open(page.as_uri()):
        typer.echo("No browser could be started. Open the file by hand.", err=True)


def _show_copy(page: AnyPath, root: DataRoot) -> None:
    """Open a copy of a page, and copy the pages that it links to meanwhile."""
    copies = PageCopies(root)
    shown = copies.copy(page)
    typer.echo(f"Opened is a copy: {shown}", err=True)
    _show(shown)
    copies.follow(page)


def _index(root: DataRoot) -> AnyPath:
    path = root.index().absolute()
    if not path.is_file():
        raise StoreError(
            f"There is no page {path} yet. The next run writes it: luigi --module pipeline RetrainFlowers."
        )
    return path


def _newest(dataset: str | None, root: DataRoot) -> AnyPath:
    newest = read_newest(dataset, root)
    # The last parts alone: the run may have been started elsewhere, or the data root have been moved since.
    path = root.path.absolute().joinpath(*newest.report.parts[-3:])
    if not path.is_file():
        raise StoreError(
            f"The report {path} of the newest run, {newest.dataset} of {newest.date}, is gone. Delete the "
            f"run's record, {newest.record}, and run again: only what is missing is made."
        )
    return path

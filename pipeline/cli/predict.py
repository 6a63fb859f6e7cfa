"""`python -m pipeline predict`: predict the labels of photos."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.tables import Coloured, Column, show_table
from tasks.errors import DatasetError, ModelError, SettingError
from tasks.events import escape_control_characters
from tasks.paths import AnyPath, to_path
from tasks.predict.models import find_model
from tasks.progress import LiveLine, NullProgress, Progress
from tasks.storage.files import publishing

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.predict.formats import Row
    from tasks.predict.inputs import FoundPhotos
    from tasks.predict.models import Model

HELP = (
    "Predict the labels of photos with a model, and their probabilities.",
    "MODEL is the key of a head or network, its folder (data/train/<key>), the record of a run, or the name of a "
    "dataset (a folder of data/runs), which means its champion. PATH is a photo, or a folder that is searched for "
    "photos at any depth, here or on an object store; hidden files, linked folders, thumbnails and recycle bins of "
    "systems, and files that are no photos are left out. Standard error names those that may be missed, such as "
    "raw photos. Photos are read as for training, and are not changed.",
    "A photo that is missing or cannot be read or decoded gets a row with the reason. The exit code is 0, or 1 "
    "where there is such a row or an error.",
    "csv and json show the --top most probable labels of each photo; json is one list, an object a line. parquet "
    "holds the probabilities of all labels, whose names are in its metadata.",
    "A photo that is unlike the photos that the model was trained on is unknown, whatever its likeliest label. csv, "
    "json and parquet say so in `unknown`, and how unlike it is in `novelty`.",
    "Examples:",
    "  python -m pipeline predict f3a84dc1f927e478 photo.jpg",
    "  python -m pipeline predict flowers-1f0a2b3c ~/new-photos --top 3",
    "  python -m pipeline predict data/train/f3a84dc1f927e478 ~/new-photos --output predictions.csv",
    "  python -m pipeline predict flowers-1f0a2b3c ~/new-photos --format json | jq '.[].predicted'",
)


class Format(StrEnum):
    """Format of the output."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def predict(  # noqa: PLR0913 (options of a command line)
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A key, a folder, a run's record, or a dataset.")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Photos, and folders of photos.")],
    *,
    data_root: DataRootOption = DEFAULT,
    top: Annotated[int, typer.Option(min=1, help="Labels to show of each photo.")] = 1,
    written: Annotated[
        Format | None, typer.Option("--format", help="Format; by default the ending of --output, else a table.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File to write, as a whole or not at all.")
    ] = None,
) -> None:
    """Predict the labels of photos."""
    sink = Sink(_format(written, output), output, top)
    with report_errors():
        try:
            folder = find_model(model, open_root(data_root))
        except ModelError as exc:
            raise typer.BadParameter(str(exc), param_hint="MODEL") from exc
        counts = _predict(folder, [to_path(path) for path in paths], sink)
    for line in counts.ignored:
        typer.echo(line, err=True)
    if output is not None:
        typer.echo(f"{counts.photos:,} photos, {counts.unreadable:,} of them unreadable: {output}")
    elif counts.unreadable:
        typer.echo(f"{counts.unreadable:,} of {counts.photos:,} photos could not be read.", err=True)
    raise typer.Exit(1 if counts.unreadable else 0)


def _format(written: Format | None, output: Path | None) -> Format:
    """The format of the output.

    Raises:
        typer.BadParameter: The format is not known, or does not go with the output.
    """
    if written is None and output is not None:
        try:
            written = Format(output.suffix.removeprefix("."))
        except ValueError as exc:
            raise typer.BadParameter(
                f"{output.name!r} does not end in .csv, .json or .parquet. Give --format too.", param_hint="--output"
            ) from exc
    written = written or Format.TABLE
    if written is Format.PARQUET and output is None:
        raise typer.BadParameter("parquet needs a file: give --output too.", param_hint="--format")
    if written is Format.TABLE and output is not None:
        raise typer.BadParameter("A table is for reading: give csv, json or parquet.", param_hint="--format")
    return written


@dataclass
class RowCounts:
    """Number of rows, number of rows without a prediction, and lines about ignored files."""

    photos: int = 0
    unreadable: int = 0
    ignored: Sequence[str] = ()

    def counting(self, tables: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
        """Count rows as they pass."""
        for table in tables:
            self.photos += table.num_rows
            self.unreadable += table["predicted"].null_count
            yield table


@dataclass(frozen=True)
class Sink:
    """Destination of the rows."""

    format: Format  #: Format of the output.
    output: Path | None  #: File to write; None is standard output.
    top: int  #: Labels to show of each photo.

    def progress(self) -> AbstractContextManager[Progress]:
        """A live line, unless it would mix with the rows."""
        streams_to_terminal = self.format is not Format.TABLE and sys.stdout.isatty()
        apart = self.output is not None or (sys.stderr.isatty() and not streams_to_terminal)
        return LiveLine("predict") if apart else nullcontext(NullProgress())

    def write(self, tables: "Iterable[pa.Table]", model: "Model") -> "list[Row]":
        """Write rows as they come; a file is published when it is complete.

        Returns:
            The rows that are to be shown below the live line: those of a table, whose columns depend on all rows.
        """
        from tasks.predict.formats import rows_of, write_csv, write_json, write_rows

        top = min(self.top, len(model.labels))
        if self.format is Format.PARQUET and self.output is not None:
            with _publishing(self.output) as temporary:
                write_rows(tables, model, temporary)
            return []
        rows = rows_of(tables, model.labels, top)
        if self.format is Format.TABLE:
            return list(rows)
        with self._text() as file:
            if self.format is Format.CSV:
                write_csv(rows, top, file)
            else:
                write_json(rows, file)
        return []

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        if self.output is None:
            yield sys.stdout
            return
        with _publishing(self.output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            yield file


@contextmanager
def _publishing(path: Path) -> Iterator[Path]:
    """Publish a file of the user.

    Raises:
        SettingError: The file cannot be written.
    """
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(publishing(path.absolute()))
        except OSError as exc:
            raise SettingError(
                f"{path} cannot be written ({exc.strerror}). Give --output a file in a folder that you may write to."
            ) from exc
        yield temporary


def _predict(folder: AnyPath, paths: list[AnyPath], sink: Sink) -> RowCounts:
    from tasks.predict.inputs import find_photos
    from tasks.predict.models import read_model

    model = read_model(folder)
    found = find_photos(paths)
    if not found.photos and not found.refused:
        raise DatasetError(
            f"There are no photos in {', '.join(map(str, paths))}{_left_out(found)}. Give photos, or folders of them."
            f"{found.ignored.explain()}"
        )
    counts = RowCounts(ignored=[f"{head}: {line}" for head, line in found.ignored.lines("No photo")])
    with sink.progress() as progress:
        rows = sink.write(counts.counting(_tables(model, found, progress)), model)
    if rows:
        _show(rows, min(sink.top, len(model.labels)))
    return counts


def _tables(model: "Model", found: "FoundPhotos", progress: Progress) -> "Iterator[pa.Table]":
    with progress.preparing("imports"):
        from tasks.predict.predictor import Predictor
        from tasks.predict.stream import NO_PREDICTIONS, predict_photos, tabulate

    if found.refused:
        yield tabulate(found.refused, NO_PREDICTIONS, model.labels)
    if found.photos:
        yield from predict_photos(found.photos, Path(), Predictor(model, progress), progress)


def _left_out(found: "FoundPhotos") -> str:
    listed = ", ".join(f"{reason} {count:,}" for reason, count in found.ignored.counts.items())
    return f"; left out: {listed}" if listed else ""


def _show(rows: "list[Row]", top: int) -> None:
    problems = [row for row in rows if row.reason]
    columns = [Column("Photo"), Column("Predicted"), Column("Probability", right=True)]
    columns += [Column("Then")] * (top > 1) + [Column("Problem")] * bool(problems)
    width = len(columns)
    show_table("", columns, [_cells(row, top)[:width] for row in rows])
    # In full apart from the table, whose columns they would squeeze.
    for row in problems:
        typer.echo(escape_control_characters(f"{row.path}: {row.message}"), err=True)


def _cells(row: "Row", top: int) -> list[object]:
    first, *others = row.ranked or ((None, None),)
    label, probability = first
    predicted = f"unknown ({label})" if row.unknown else label
    cells: list[object] = [row.path, predicted, None if probability is None else f"{probability:.1%}"]
    if top > 1:
        cells.append(", ".join(f"{name} {share:.1%}" for name, share in others) or None)
    return [*cells, Coloured(row.reason.replace("_", " "), "red") if row.reason else None]

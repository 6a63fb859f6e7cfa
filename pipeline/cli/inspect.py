"""`python -m pipeline inspect PATH`: show the content of a file or store of the data root."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.describe import Description, inspect_folder, inspect_tables, shorten
from pipeline.cli.parquet_files import open_tables
from pipeline.cli.tables import Column, show_json, show_table, size_of
from tasks.errors import StoreError
from tasks.events import escape_control_characters
from tasks.paths import AnyPath, to_path
from tasks.storage.files import listed

HELP = (
    "Show the content of a file or folder of the data root: stage, key, the settings behind the key, columns, "
    "photos of each label, and a few rows.",
    "PATH is a Parquet file (a snapshot, a shard, predictions, a comparison, a curve), a store (data/decode/<key>, "
    "its rejected/, data/bottleneck/<key>), the folder of a head or of an evaluation, or a run's record. In a data "
    "root on an object store it is an address, such as s3://<bucket>/<folder>/decode/<key>.",
    "Stores have photos by the hash of their bytes. The labels are from the newest snapshot of the same data root "
    "that names the photos, or from --snapshot.",
    "--photos writes a contact sheet of decoded photos, by label, as a PNG.",
    "The exit code is 0, or 1 where PATH is not there, damaged, or nothing that this project wrote.",
    "Examples:",
    "  python -m pipeline inspect data/snapshot/a8df865f02350161.parquet --rows 20",
    "  python -m pipeline inspect data/decode/f48a29b61d192068 --photos sheet.png --per-label 12",
    "  python -m pipeline inspect data/bottleneck/b6a04b9047fc21bd --json",
)
#: Longer texts of a row are cut in the table, but not in --json.
_LONGEST = 40


def inspect(  # noqa: PLR0913 (options of a command line)
    named: Annotated[str, typer.Argument(metavar="PATH", help="A file or folder of the data root.")],
    *,
    rows: Annotated[int, typer.Option(min=0, help="Rows to show.")] = 5,
    snapshot: Annotated[str, typer.Option(metavar="KEY", help="The snapshot that has the labels.")] = "",
    photos: Annotated[
        Path | None, typer.Option(metavar="FILE.png", dir_okay=False, help="Write a contact sheet, by label.")
    ] = None,
    per_label: Annotated[int, typer.Option(min=1, max=50, help="Photos of each label on the sheet.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for a script.")] = False,
) -> None:
    """Show the content of a file or store."""
    with report_errors():
        path = to_path(named)
        if not path.exists():
            raise StoreError(f"There is nothing at {path}. Give a file or folder of the data root.")
        tabular = path.suffix == ".parquet" or bool(listed(path, "part-*.parquet"))
        contents = inspect_tables(path, rows, snapshot or None) if tabular else inspect_folder(path)
        if photos is not None:
            _draw(path, photos, per_label, snapshot or None)
        if as_json:
            show_json(_to_json(contents))
        else:
            _show(contents)


def _draw(path: AnyPath, target: Path, per_label: int, snapshot: str | None) -> None:
    from pipeline.cli.contact_sheet import choose_strips, draw_sheet

    strips = choose_strips(path, open_tables(path), per_label, snapshot)
    drawn = draw_sheet(strips, target)
    left_out = f"; the other {len(strips) - drawn:,} labels do not fit" if drawn < len(strips) else ""
    typer.echo(f"{target}: {sum(len(strip.pictures) for strip in strips[:drawn]):,} photos{left_out}", err=True)


def _to_json(contents: Description) -> dict[str, Any]:
    values = asdict(contents)
    values["path"] = str(contents.path)
    values["columns"] = [{"name": name, "type": kind} for name, kind in contents.columns]
    values["sample"] = [{name: shorten(value) for name, value in row.items()} for row in contents.sample]
    return values


def _show(contents: Description) -> None:
    typer.echo(escape_control_characters(f"{contents.path}: {contents.what}"))
    facts = {
        "stage": contents.stage,
        "key": contents.key,
        "schema": f"version {contents.schema_version}",
        "rows": None if contents.rows is None else f"{contents.rows:,}",
        "shards": contents.shards,
        "size": size_of(contents.bytes),
        "settings": contents.settings,
        **contents.facts,
    }
    for line in _indented({name: value for name, value in facts.items() if value not in (None, {}, [])}):
        typer.echo(line)
    if contents.columns:
        typer.echo()
        show_table("", (Column("column"), Column("type")), contents.columns)
    _show_labels(contents)
    if contents.sample:
        names = [name for name, _ in contents.columns]
        typer.echo()
        rows = [[_cell(row[name]) for name in names] for row in contents.sample]
        show_table("", [Column(name) for name in names], rows)


def _show_labels(contents: Description) -> None:
    if contents.labels is None:
        if contents.unlabelled:
            typer.echo(f"\nNo snapshot beside it names its {contents.unlabelled:,} photos: their labels are not known.")
        return
    typer.echo()
    rows = [(label, f"{count:,}") for label, count in contents.labels.items()]
    show_table("", (Column("label"), Column("photos", right=True)), rows)
    if contents.snapshot:
        others = f"; it does not name {contents.unlabelled:,} photos" if contents.unlabelled else ""
        typer.echo(f"Labels are those of the snapshot {contents.snapshot}{others}.")


def _indented(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Names and values, a line each; inner ones are indented."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield escape_control_characters(f"{'  ' * depth}{name}")
            yield from _indented(value, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield escape_control_characters(f"{'  ' * depth}{name}")
            for item in value:
                parts = ", ".join(f"{part} {_plain(what)}" for part, what in item.items())
                yield escape_control_characters(f"{'  ' * depth}  - {parts}")
        else:
            yield escape_control_characters(f"{'  ' * depth}{name:<{width}}  {_plain(value)}")


def _plain(value: object) -> str:
    if value is None or value in ("", {}, []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(shorten(value, numbers=10))


def _cell(value: object) -> str | None:
    """A value of a row, short enough for a table."""
    if value is None:
        return None
    short = shorten(value)
    text = ", ".join(f"{name} {part}" for name, part in short.items()) if isinstance(short, dict) else str(short)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."

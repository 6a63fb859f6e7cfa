"""`python -m pipeline compact`: merge the small shards of a data root into large ones."""

from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import LiveLine
from tasks.shards.compaction import Compacted, open_store, plan_compaction, run_compaction, store_folders

#: Some 0.8 GB of pictures, 70 MB of bottlenecks: a million photos are 62 shards of pictures.
ROWS_PER_SHARD = 16_384

HELP = (
    "Merge the small shards of the decoded, rejected and bottleneck stores into large ones.",
    "Every run adds a few small shards, and every search for photos opens each of them. Shards with less than "
    "half of --rows are merged, and rows that two simultaneous runs wrote twice are dropped. No key changes, and "
    "the next run computes nothing anew.",
    "It may run beside runs that read or write, and may be killed anywhere: start it again. It needs disk space "
    "for one large shard. A second compaction waits for the first.",
    "The exit code is 0, or 1 where a shard is damaged, gone, or cannot be written; other stores are done first.",
    "Examples:",
    "  python -m pipeline compact --dry-run",
    "  python -m pipeline compact --data-root /srv/retrain/data --rows 65536",
)


def compact(
    data_root: DataRootOption = DEFAULT,
    rows: Annotated[int, typer.Option(min=1, help="Maximum rows of a large shard.")] = ROWS_PER_SHARD,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the merges, and change nothing.")] = False,
) -> None:
    """Merge the small shards of a data root's stores."""
    good = True
    with report_errors():
        folders = store_folders(open_root(data_root))
        if not folders:
            typer.echo(f"No stores in {data_root}.")
        for folder in folders:
            try:
                typer.echo(_compact(folder, rows, dry_run=dry_run))
            except StoreError as exc:
                # A damaged store does not keep the others from being compacted.
                typer.echo(str(exc), err=True)
                good = False
    raise typer.Exit(0 if good else 1)


def _compact(folder: AnyPath, rows: int, *, dry_run: bool) -> str:
    """Compact one store, and return a line about the result."""
    from tasks.bottleneck import settings as bottleneck
    from tasks.decode import photos as decode

    store = open_store(folder, {"bottleneck": bottleneck.ROWS_PER_GROUP, "decode": decode.ROWS_PER_GROUP})
    if dry_run:
        return _summary(folder, plan_compaction(store, rows))
    with LiveLine("compact") as progress:
        return _summary(folder, run_compaction(store, rows, progress))


def _summary(folder: AnyPath, done: Compacted) -> str:
    before, after = done
    twice = f", {before.rows - after.rows:,} duplicates dropped" if before.rows > after.rows else ""
    if before == after:
        return f"{folder}: {before.shards:,} shards, {before.rows:,} rows, {_megabytes(before.bytes)}: nothing to merge"
    size, become = _megabytes(before.bytes), "would become"
    if after.bytes is not None:
        size, become = f"{size} become {_megabytes(after.bytes)}", "become"
    return f"{folder}: {before.shards:,} shards {become} {after.shards:,}, {after.rows:,} rows{twice}, {size}"


def _megabytes(size: int | None) -> str:
    return f"{(size or 0) / 1e6:,.1f} MB"

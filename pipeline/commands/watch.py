"""`python -m pipeline watch`: how a training does, told from beside it."""

import logging
import re
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.plain_errors import plainly
from pipeline.record import read_record
from tasks.artifacts import KEY_LENGTH, DataRoot
from tasks.train.curve import Weights

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")

#: A paragraph a line, which the terminal breaks at its own width.
HELP = "\n\n".join(
    (
        "Say how each new checkpoint of a training does on the whole validation split, while the training runs.",
        "RUN is a head's key, its folder (data/train/<key>), or the record of a run "
        "(data/runs/<dataset>/<date>-<hash>.json).",
        "By default the moving averages are put in the place of the weights. What is measured also goes to "
        "curve-averages.parquet or curve-plain.parquet in the head's folder; the report draws it as a learning curve.",
        "It ends when the training has ended, with 0, or with 1 where the training stopped before its end.",
        "Examples:",
        "  python -m pipeline watch data/train/f3a84dc1f927e478",
        "  python -m pipeline watch f3a84dc1f927e478 --interval 2 --plain",
        "  python -m pipeline watch data/runs/sample-400/2026-11-24-cb327d03.json --once",
    )
)


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A head's key, its folder, or the record of a run.")],
    data_root: Annotated[Path, typer.Option(help="Folder of everything that the stages write.")] = Path("data"),
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks for a checkpoint.")] = 10,
    once: Annotated[bool, typer.Option("--once", help="Look once; without a checkpoint the exit code is 1.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Measure the weights, not their moving averages.")] = False,
) -> None:
    """Watch a training from beside it."""
    with plainly():
        folder = find_head(run, DataRoot(data_root))
        # What it warns of is told here, once and in plain words.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        from tasks.train.watching import look_once, watch_training  # noqa: PLC0415 (imports TensorFlow)

        weights: Weights = "plain" if plain else "averages"
        good = look_once(folder, weights, typer.echo) if once else watch_training(folder, weights, interval, typer.echo)
    raise typer.Exit(0 if good else 1)


def find_head(run: str, root: DataRoot) -> Path:
    """Find the folder of a head.

    Args:
        run: Its key, its folder, or the record of a run.
        root: Where keys are looked up.

    Raises:
        typer.BadParameter: There is none.
        StoreError: The record is damaged.
    """
    path = Path(run).absolute()
    if path.is_file() and path.parent.parent.name == "runs":
        record = read_record(path) or {}
        folder = DataRoot.above(path.parent).train(record.get("head") or record.get("network") or "")
    else:
        folder = path if path.parent.name == "train" else root.train(run)
    if not _KEY.fullmatch(folder.name) or not folder.is_dir():
        raise typer.BadParameter(
            f"{run!r} is no head's key in {root.path / 'train'}, no head's folder, and no run's record.",
            param_hint="RUN",
        )
    return folder

"""`python -m pipeline watch`: measure the checkpoints of a training while it runs."""

import logging
from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from tasks.errors import ModelError
from tasks.predict.models import find_model
from tasks.train.curve import Weights

HELP = (
    "Measure each new checkpoint of a training on the whole validation split, while the training runs.",
    "RUN is a head's key, its folder (data/train/<key>), the record of a run "
    "(data/runs/<dataset>/<date>-<hash>.json), or the name of a dataset, which means its champion.",
    "Only --recipe classic has checkpoints: a head in closed form is not trained step by step.",
    "By default the moving averages replace the weights. The measurements are also written to "
    "curve-averages.parquet or curve-plain.parquet in the head's folder; the report draws the learning curve.",
    "It ends when the training has ended, with 0, or with 1 where the training stopped before its end.",
    "Examples:",
    "  python -m pipeline watch data/train/f3a84dc1f927e478",
    "  python -m pipeline watch f3a84dc1f927e478 --interval 2 --plain",
    "  python -m pipeline watch data/runs/sample-400/2026-11-24-cb327d03.json --once",
)


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A head's key, its folder, a run's record, or a dataset.")],
    data_root: DataRootOption = DEFAULT,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two searches for a checkpoint.")] = 10,
    once: Annotated[bool, typer.Option("--once", help="Look once; without a checkpoint the exit code is 1.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Measure the weights, not their moving averages.")] = False,
) -> None:
    """Measure the checkpoints of a training."""
    with report_errors():
        try:
            folder = find_model(run, open_root(data_root, there=False))
        except ModelError as exc:
            raise typer.BadParameter(str(exc), param_hint="RUN") from exc
        # The messages below say the same as TensorFlow's warnings.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        from tasks.train.checkpoint_evaluator import CheckpointEvaluator, watch_training

        weights: Weights = "plain" if plain else "averages"
        if once:
            good = CheckpointEvaluator(folder, weights, typer.echo).look()
        else:
            good = watch_training(folder, weights, interval, typer.echo)
    raise typer.Exit(0 if good else 1)

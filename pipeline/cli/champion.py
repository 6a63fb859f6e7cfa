"""`python -m pipeline champion`: show the champion of a dataset, and change it by hand."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.confirm import confirm
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from pipeline.cli.tables import Coloured, Column, show_json, show_table
from pipeline.retrain import RetrainFlowers
from tasks.champion.champion_file import Champion, read_champion
from tasks.errors import ModelError
from tasks.progress import LiveLine
from tasks.runs.find import find_runs
from tasks.runs.records import distinct_accuracy
from tasks.serving.versions import current_version, serve_champion, served_versions
from tasks.storage.layout import DataRoot

HELP = (
    "Show the champion of a dataset, its predecessors and the version that model servers load, or change the champion.",
    "DATASET is a name in data/runs, or a value of --dataset. MODEL is the key of a model, its folder or the record of "
    "its run; a run of the dataset must have evaluated it.",
    "Distinct is the accuracy on the test photos without a near duplicate in training, where it differs.",
    "--rollback makes the last predecessor champion again; no run makes the model before it champion again, only "
    "--promote does. --promote makes a model champion. --pin does too if the model is not champion, and nothing "
    "replaces it until --unpin.",
    "Each of these asks first, waits for a run that decides on the dataset, and publishes the new champion for model "
    "servers under the next number. It may be killed anywhere: the next run, or --promote of the champion, publishes "
    "the version that is missing.",
    "The exit code is 0; 1 where it was refused or nobody could be asked; 2 for an invalid value.",
    "Examples:",
    "  python -m pipeline champion flower_photos",
    "  python -m pipeline champion flower_photos --rollback",
    "  python -m pipeline champion flower_photos --promote data/runs/flower_photos/2026-11-24-060b840c.json --yes",
    "  python -m pipeline champion flower_photos --pin 057e6dec5ae7a366",
)

_COLUMNS = (
    Column("since"),
    Column("model"),
    Column("accuracy", right=True),
    Column("distinct", right=True),
    Column("photos", right=True),
    Column("by"),
    Column("version", right=True),
    Column("is"),
)


def champion(  # noqa: PLR0913 (options of a command line)
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset, or a value of --dataset.")],
    *,
    rollback: Annotated[bool, typer.Option("--rollback", help="Make the last predecessor champion again.")] = False,
    promote: Annotated[str | None, typer.Option(metavar="MODEL", help="Make this model champion.")] = None,
    pin: Annotated[str | None, typer.Option(metavar="MODEL", help="Make this model champion until --unpin.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Let runs replace the champion again.")] = False,
    data_root: DataRootOption = DEFAULT,
    keep_versions: Annotated[
        int | None, typer.Option(min=1, help="Versions to keep for model servers; by default as for a run.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for a script.")] = False,
) -> None:
    """Show or change the champion of a dataset."""
    orders = {"--rollback": rollback, "--promote": promote, "--pin": pin, "--unpin": unpin}
    given = [(name, value) for name, value in orders.items() if value]
    if len(given) > 1:
        raise typer.BadParameter(f"Give one of {' and '.join(name for name, _ in given)}.")
    with report_errors():
        root = open_root(data_root)
        name = _find_dataset(dataset, root)
        if given:
            ((option, value),) = given
            # The default of luigi.cfg or of the source.
            keep = keep_versions or RetrainFlowers.keep_versions.task_value("RetrainFlowers", "keep_versions")
            before, after, question = _prepare(root, name, option, str(value))
            if not yes:
                confirm(question, "Nothing was changed")
            _publish(root, name, before, after, keep)
        now = read_champion(root.champion(name))
        if now is None:
            raise ModelError(f"{name} has no champion yet. The next run chooses one.")
        if as_json:
            show_json(_to_json(root, name, now))
        else:
            _show(root, name, now)


def _find_dataset(text: str, root: DataRoot) -> str:
    found = find_runs(text, root)
    if len(found) > 1:
        raise typer.BadParameter(f"{text!r} stands for {', '.join(found)}. Name one of them.")
    return found[0]


def _prepare(root: DataRoot, dataset: str, option: str, model: str) -> tuple[Champion | None, Champion, str]:
    """Prepare an order, without any change.

    Returns:
        The champion before and after the order, and the question that asks for confirmation.

    Raises:
        ModelError: The order cannot be carried out.
    """
    from tasks.champion import orders
    from tasks.predict.models import find_model

    now = read_champion(root.champion(dataset))
    if option in ("--rollback", "--unpin"):
        if now is None:
            raise ModelError(f"{dataset} has no champion yet. The next run chooses one.")
        after = orders.roll_back(now) if option == "--rollback" else orders.unpin(now)
    else:
        key = find_model(model, root).name
        order: orders.Promotion = "pin" if option == "--pin" else "promotion"
        chosen = now if now and now.model == key else orders.find_evaluated(key, order, dataset, root)
        after = orders.pin(now, chosen) if order == "pin" else orders.promote(now, chosen, order)
    orders.check_complete(after, root)
    if option == "--unpin":
        return now, after, f"Let runs replace {after.model} again?"
    verb = "Pin" if option == "--pin" else "Make"
    place = f" in the place of {_named(now)}" if now and now.model != after.model else ""
    return now, after, f"{verb} {_named(after)}{' the champion' if verb == 'Make' else ''}{place}?"


def _named(model: Champion) -> str:
    """A model with its figures, for a question."""
    return f"{model.model} ({model.test['accuracy']:.1%} on {model.test['photos']:,} photos)"


def _publish(root: DataRoot, dataset: str, before: Champion | None, after: Champion, keep: int) -> None:
    """Publish the champion after an order, for model servers too."""
    from tasks.champion.orders import publish_order
    from tasks.report.index import publish_index

    # No garbage is collected until the end of this process.
    root.storage.lock_shared(root.path)
    # Standard output has the champion only, so that --json is one object though the order waits for a run.
    with redirect_stdout(sys.stderr), LiveLine("serving") as progress:
        publish_order(root, dataset, before, after)
        serve_champion(root, dataset, keep, progress)
    publish_index(root)


def _show(root: DataRoot, dataset: str, now: Champion) -> None:
    served = {version.model: version.number for version in served_versions(root, dataset)}
    state = f"champion, pinned since {now.pinned}" if now.pinned else "champion"
    rows = [_row(now, served, Coloured(state, "green"))]
    rows += [_row(former, served, "predecessor") for former in reversed(now.former)]
    show_table(dataset, _COLUMNS, rows)
    current = current_version(root, dataset)
    if current is None:
        typer.echo("Model servers: no version yet.")
    elif current.model == now.model:
        typer.echo(f"Model servers: {root.serving(dataset) / str(current.number)}")
    else:
        typer.echo(
            f"Model servers: version {current.number} is {current.model}, until a run or --promote {now.model} "
            "publishes the champion."
        )
    if now.rolled_back:
        typer.echo(f"Rolled back, restored only by --promote: {', '.join(now.rolled_back)}")


def _row(model: Champion, served: Mapping[str, int], state: object) -> list[object]:
    test = model.test
    interval = test["interval"]
    # Champions of an earlier version of this project lack it.
    distinct = distinct_accuracy(test, test.get("without_near_duplicates"))
    return [
        model.since,
        model.model,
        f"{test['accuracy']:.1%} ({100 * interval['low']:.1f}-{100 * interval['high']:.1f})"
        + (" on the given split" if test.get("given_splits") else ""),
        None if distinct is None else f"{distinct:.1%}",
        f"{test['photos']:,}",
        model.cause,
        served.get(model.model),
        state,
    ]


def _to_json(root: DataRoot, dataset: str, now: Champion) -> dict[str, Any]:
    current = current_version(root, dataset)
    return {
        "dataset": dataset,
        "champion": _model_json(now),
        "pinned": now.pinned.isoformat() if now.pinned else None,
        "former": [_model_json(former) for former in reversed(now.former)],
        "rolled_back": list(now.rolled_back),
        "orders": [{**vars(order), "time": order.time.isoformat()} for order in now.orders],
        "serving": {**current._asdict(), "folder": str(root.serving(dataset) / str(current.number))}
        if current
        else None,
    }


def _model_json(model: Champion) -> dict[str, Any]:
    return {
        "model": model.model,
        "since": model.since.isoformat(),
        "by": model.cause,
        "test": dict(model.test),
        "evaluation": model.evaluation,
        "snapshot": model.snapshot,
        "run": model.run,
    }

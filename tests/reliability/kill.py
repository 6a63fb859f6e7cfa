"""The long version of the kill test, by hand: `python -m tests.reliability.kill --work FOLDER`."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tests.pipeline.command import QUICK
from tests.reliability.contents import contents
from tests.reliability.kill_points import WAYS, choose_points
from tests.reliability.store_trial import StoreTrial
from tests.reliability.trial import History, Trial, draw_old, survive
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import serving


def main(
    work: Annotated[Path, typer.Option(help="Empty folder for everything that is written.")],
    photos: Annotated[int, typer.Option(help="Number of drawn photos.")] = 600,
    kills: Annotated[int, typer.Option(help="Number of kills.")] = 100,
    histories: Annotated[int, typer.Option(help="Data roots that the kills are spread over.")] = 3,
    places: Annotated[str, typer.Option(help="Kill only at places that contain this, such as train/.")] = "",
    export: Annotated[str, typer.Option(help="Value of RetrainFlowers' --export.")] = "none",
    store: Annotated[bool, typer.Option("--store", help="Kill at the requests to an object store.")] = False,
) -> None:
    """Kill runs at points spread over a whole run, compare the final data roots, and print a table."""
    draw_old(work / "photos", range(photos), labels=5)
    with trials(work, {**QUICK, "export": export, "date": "2026-01-31"}, on_store=store) as make:
        undisturbed = make("undisturbed")
        started = time.monotonic()
        if (ended := undisturbed.run()).code:
            raise SystemExit(f"The undisturbed run ended with {ended.code}: {ended.errors}")
        chosen = {place: moment for place, moment in undisturbed.places().items() if places in place}
        typer.echo(f"undisturbed: {time.monotonic() - started:.0f} s, {len(chosen)} places")
        points = choose_points(chosen, kills)
        queue, done = [points[number::histories] for number in range(histories)], list[History]()
        expected = contents(undisturbed.fetch())
        while queue:
            trial = make(f"history-{len(done)}")
            history = survive(trial, queue.pop(0), expected, typer.echo)
            if history.kills and history.missed:
                queue.append(history.missed)
            for fault in history.faults:
                typer.echo(f"FAULT in {trial.folder.name}: {fault}")
            if not history.faults:
                shutil.rmtree(trial.folder)
            done.append(history)
    print_table(done)
    raise SystemExit(any(history.faults for history in done))


@contextmanager
def trials(work: Path, options: dict[str, str], *, on_store: bool) -> Iterator[Callable[[str], Trial]]:
    """Yield a function that makes a trial of a name, on a disk or on an object store."""
    photos = work / "photos"
    if not on_store:
        yield lambda name: Trial(work / name, photos, options)
        return
    with serving() as server, Gateway(server.port).serving() as gateway:
        os.environ.update(server.environment)
        yield lambda name: StoreTrial(work / name, photos, options, server.url("data"), gateway)


def print_table(histories: Sequence[History]) -> None:
    """Print the number of kills by stage and way, and of faults."""
    kills = [kill for history in histories for kill in history.kills]
    count = Counter((kill.stage, kill.point.way) for kill in kills)
    typer.echo(f"{'stage':<20}" + "".join(f"{way:>8}" for way in WAYS))
    for stage in dict.fromkeys(kill.stage for kill in kills):
        typer.echo(f"{stage:<20}" + "".join(f"{count[stage, way]:>8}" for way in WAYS))
    main_only = sum(kill.point.target == "main" for kill in kills)
    faults = sum(len(history.faults) for history in histories)
    typer.echo(f"{len(kills)} kills in {len(histories)} histories, {main_only} of the main process; {faults} faults")


if __name__ == "__main__":
    typer.run(main)

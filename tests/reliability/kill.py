"""The long version of the kill test, by hand: `python -m tests.reliability.kill --photos 600 --kills 100`."""

import argparse
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.pipeline.command import QUICK
from tests.reliability.contents import contents
from tests.reliability.killing import History, Trial, draw_old, show, survive
from tests.reliability.shots import WAYS, choose_shots
from tests.reliability.store_killing import StoreTrial
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import serving

MakeTrial = Callable[[Path, Path, Mapping[str, str]], Trial]


def main() -> None:
    """Kill, compare, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="A folder for all that is written; it must be empty.")
    parser.add_argument("--photos", type=int, default=600, help="How many photos are drawn.")
    parser.add_argument("--source", type=Path, help="A folder <label>/<photo> to take in the place of drawn photos.")
    parser.add_argument("--kills", type=int, default=100, help="Kills in all.")
    parser.add_argument("--histories", type=int, default=3, help="Data roots that they are spread over.")
    parser.add_argument("--seed", type=int, default=0, help="Of the choice of places.")
    parser.add_argument("--places", default="", help="Only places that contain this, such as `train/`.")
    parser.add_argument("--workers", default="1", help="Luigi's workers.")
    parser.add_argument("--export", default="none", choices=("none", "all"), help="Whether the model is exported.")
    parser.add_argument("--store", action="store_true", help="Kill at the requests to a data root on an object store.")
    given = parser.parse_args()
    with ExitStack() as stack:
        _try_out(given, _on_store(stack) if given.store else Trial)


def _on_store(stack: ExitStack) -> MakeTrial:
    """Start an object store; what makes trials there."""
    server = stack.enter_context(serving())
    gateway = stack.enter_context(Gateway(server.port).serving())
    os.environ.update(server.environment)

    def make(folder: Path, photos: Path, options: Mapping[str, str]) -> Trial:
        return StoreTrial(folder, photos, options, server.url("data"), gateway)

    return make


def _try_out(given: argparse.Namespace, make: MakeTrial) -> None:
    photos = given.source or given.work / "photos"
    if given.source is None:
        draw_old(photos, range(given.photos), labels=5)
    options = {**QUICK, "workers": given.workers, "export": given.export, "date": "2026-01-31"}

    undisturbed = make(given.work / "undisturbed", photos, options)
    started = time.monotonic()
    ended = undisturbed.run()
    if ended.code:
        raise SystemExit(f"The undisturbed run ended with {ended.code}: {ended.errors}")
    places = {place: at for place, at in undisturbed.places().items() if given.places in place}
    show(f"undisturbed: {time.monotonic() - started:.0f} s, {len(places)} places")
    expected = contents(undisturbed.held())
    shots = choose_shots(places, given.kills, given.seed)
    queue = [shots[number :: given.histories] for number in range(given.histories)]
    histories: list[History] = []
    while queue:
        trial = make(given.work / f"history-{len(histories)}", photos, options)
        history = survive(trial, queue.pop(0), expected, show)
        if history.kills and history.missed:
            queue.append(history.missed)
        for fault in history.faults:
            show(f"FAULT in history {len(histories)}: {fault}")
        if not history.faults:
            shutil.rmtree(trial.folder)
        histories.append(history)
    _tell(histories)
    raise SystemExit(any(history.faults for history in histories))


def _tell(histories: list[History]) -> None:
    """Write how many kills there were where, and what was lost."""
    kills = [kill for history in histories for kill in history.kills]
    count = Counter((kill.stage, kill.shot.way) for kill in kills)
    show(f"{'stage':<20}" + "".join(f"{way:>8}" for way in WAYS))
    for stage in dict.fromkeys(kill.stage for kill in kills):
        show(f"{stage:<20}" + "".join(f"{count[stage, way]:>8}" for way in WAYS))
    alone = sum(kill.shot.whom == "main" for kill in kills)
    faults = sum(len(history.faults) for history in histories)
    show(f"{len(kills)} kills in {len(histories)} histories, {alone} of the main process alone; {faults} faults")


if __name__ == "__main__":
    main()

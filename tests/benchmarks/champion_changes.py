"""Failures of a model server and of a reader of `current` while the champion changes.

The plain TensorFlow process of `tests.benchmarks.serving` stands in for TensorFlow's model server: it reads version
numbers, loads the largest one and answers, while real commands promote models and roll back, and a share of the
commands is killed before one of the files or folders that they rename or remove. A client sends photos all the time and
compares the answers with those of the same model served alone; a reader of `current` reads its files all the time. The
data root needs two exported models of one dataset; its champion and its versions are changed.
"""

import json
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tasks.champion.champion_file import read_champion
from tasks.export.card import dataset_of
from tasks.export.files import is_exported, write_export
from tasks.predict.models import read_model
from tasks.serving.versions import CURRENT, VERSION
from tasks.shards.manifests import find_manifest
from tasks.storage.files import listed
from tasks.storage.layout import DataRoot
from tests.benchmarks.measure import Output, run_command, write_json
from tests.benchmarks.serving import ask, read_photos, served_dataset, serving
from tests.serving.test_kills import DIE
from tests.support.processes import run

#: Photos of a request.
_PHOTOS = 4
#: Steps at which a command may be killed; it takes about as many.
_STEPS = 16
#: Largest difference of probabilities of the same model and photos.
_SAME = 1e-5


def exported_models(root: DataRoot[Path], dataset: str) -> list[str]:
    decisions = [find_manifest(path) for path in listed(root.decisions(dataset), "*.json")]
    models = {decision.details["model"] for decision in decisions if decision}
    found = sorted(model for model in models if is_exported(model, root))
    if len(found) < 2:
        raise SystemExit(f"{root.path} has fewer than two exported models of {dataset}. Run it with more photos.")
    return found


def answers_alone(root: DataRoot[Path], model: str, photos: list[bytes]) -> np.ndarray[Any, Any]:
    """Return the probabilities of a model that is served alone: float [N, C]."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "1").mkdir()
        write_export(model, root, Path(folder) / "1")
        with serving(Path(folder)) as url:
            return probabilities_of(ask(url, photos, _PHOTOS))


def probabilities_of(answers: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    return np.array([answer["probabilities"] for answer in answers])


class Watch:
    """Calls a check again and again in a thread, and counts its outcomes."""

    def __init__(self, check: Callable[[], str]) -> None:
        self.outcomes: Counter[str] = Counter()
        self._check, self._ended = check, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.outcomes[self._check()] += 1
            except Exception as exc:  # noqa: BLE001 (counted)
                self.outcomes[f"failed: {exc!r}"] += 1
            time.sleep(0.01)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def give_orders(root: DataRoot[Path], dataset: str, models: list[str], changes: int, seed: int) -> Counter[str]:
    """Promote the model that is not champion, or roll back, so many times; a third of the commands is killed."""
    dice, orders = random.Random(seed), Counter[str]()  # noqa: S311 (the same ones each time)
    for _ in range(changes):
        champion = read_champion(root.champion(dataset))
        assert champion is not None
        other = next(model for model in models if model != champion.model)
        back = champion.former and dice.random() < 0.5
        words = ["--rollback"] if back else ["--promote", other]
        command = ["champion", dataset, "--data-root", str(root.path), "--yes", *words]
        step = dice.randrange(_STEPS) if dice.random() < 1 / 3 else 10**6
        done = run([sys.executable, "-c", DIE, f"{step}", *command])
        orders[f"{words[0]}{'' if done.code == 0 else ' killed'}"] += 1
        if done.code > 0:
            raise SystemExit(done.errors)
        time.sleep(dice.random() * 4)
    return orders


def main(
    output: Output,
    data_root: Annotated[Path, typer.Option(help="Data root whose champion is changed.")],
    changes: Annotated[int, typer.Option(help="Number of orders.")] = 40,
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos if the dataset is no folder.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the orders and kills.")] = 0,
) -> None:
    """Change the champion under a server, and count failures."""
    root: DataRoot[Path] = DataRoot(data_root.absolute())
    dataset = served_dataset(root)
    models, folder = exported_models(root, dataset), root.serving(dataset)
    first = read_model(root.train(models[0]))
    _, files = read_photos(first, root, photos or Path(dataset_of(first.snapshot, root).location), count=_PHOTOS)
    if not files:
        raise SystemExit(f"No photo of {dataset} can be read. Give --photos.")
    expected = {model: answers_alone(root, model, files) for model in models}
    published: dict[int, str] = {}

    def note_versions() -> str:
        for path in folder.glob(f"[0-9]*/{VERSION}"):
            published.setdefault(int(path.parent.name), json.loads(path.read_text())["model"])
        return "looked"

    with serving(folder) as url:

        def check_answer() -> str:
            answers = ask(url, files, _PHOTOS)
            model = published[answers[0]["version"]]
            difference = float(np.abs(probabilities_of(answers) - expected[model]).max())
            return "right" if difference <= _SAME else f"wrong: {difference} from {model}"

        def read_current() -> str:
            model = json.loads((folder / CURRENT / VERSION).read_text())["model"]
            (folder / CURRENT / "saved_model.pb").read_bytes()
            return "read" if model in models else f"unknown model {model}"

        note_versions()
        watches = {"versions": Watch(note_versions), "answers": Watch(check_answer), "current": Watch(read_current)}
        orders = give_orders(root, dataset, models, changes, seed)
        time.sleep(5)
        for watch in watches.values():
            watch.end()
        with urllib.request.urlopen(url) as answer:  # noqa: S310 (this machine's own)
            server = json.load(answer)
    typer.echo(f"Orders: {dict(orders)}; versions published: {len(published)}")
    typer.echo(f"Loads: {len(server['loads'])}, failed: {len(server['failed'])}; served last: {server['version']}")
    typer.echo(f"Answers: {dict(watches['answers'].outcomes)}")
    typer.echo(f"Reads of {CURRENT}: {dict(watches['current'].outcomes)}")
    outcomes = {name: dict(watch.outcomes) for name, watch in watches.items()}
    write_json("champion_changes", output, orders=orders, server=server, published=len(published), **outcomes)


if __name__ == "__main__":
    run_command(main, __doc__)

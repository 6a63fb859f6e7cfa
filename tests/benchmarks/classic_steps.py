"""Seconds of the classic recipe's 4,000 steps, with its validation lines and checkpoints.

    python -m tests.benchmarks.classic_steps --output FOLDER

The bottlenecks are made up, as many and as wide as those of flower_photos by default.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tasks.progress import Silence
from tasks.train.classic import fit
from tasks.train.examples import Lesson, Watch
from tasks.train.settings import ClassicRecipe
from tests.train.examples import draw_examples

LABELS = tuple("abcde")
RECIPE = ClassicRecipe(steps=4000, batch_size=100, learning_rate=0.01, averaging=0.99)


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3670)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    train, validation = (
        draw_examples((count // len(LABELS),) * len(LABELS), arguments.width, seed=seed)
        for seed, count in enumerate((arguments.photos * 8 // 10, arguments.photos // 10))
    )
    train, validation = (examples.take(examples.labels >= 0, slice(1)) for examples in (train, validation))
    seconds = []
    for _ in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            fit(Lesson(train, validation, LABELS), RECIPE, 0, Watch(Silence(), Path(folder)))
            seconds.append(time.monotonic() - started)
    row = {"photos": len(train.labels), "width": arguments.width, "seconds": seconds}
    row |= {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}
    sys.stdout.write("{photos:,} photos x {width:,}: median {median:.2f} s ({least:.2f} to {most:.2f})\n".format(**row))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "classic_steps.json").write_text(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()

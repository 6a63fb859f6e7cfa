"""What 10,000 to 1,000,000,000 photos take, planned from what was measured of few, and what bounds them first.

    python -m tests.benchmarks.plan --output FOLDER --cores 16 --machines 1 --memory 64 --hours 8

Everything is measured on this machine at two sizes each, so that what a start costs and what a photo costs come apart:
real runs on real photos, on a disk and on an object store, and made-up snapshots and stores of many keys. The plan is
for machines of the processor that measured it. Only decode and bottleneck are spread over machines, as `--engine ray`
does; hashing takes all cores of the one that drives, and everything else is as fast there as here. `--slopes FILE`
plans anew from the JSON file of an earlier run, without measuring.
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.bounds import Bound, Plan, bounds, plan
from tests.benchmarks.sizing import COLD, NIGHT, Given, Line, Prices, Slopes, read
from tests.benchmarks.table import describe_machine

SIZES = tuple(10**power for power in range(4, 10))


def main() -> None:
    """Measure, plan, print the tables, and write them as JSON."""
    arguments = _parser().parse_args()
    if arguments.slopes:
        earlier = json.loads(arguments.slopes.read_text())
        slopes, measured = read(earlier["slopes"]), earlier["measured"]
    else:
        from tests.benchmarks.slopes import Sizes, measure  # noqa: PLC0415 (not where nothing is measured)

        sizes = Sizes(*(sorted(own) for own in (arguments.photos, arguments.keys, arguments.trained)))
        slopes = measure(arguments.source, sizes, arguments.precision)
        measured = {
            "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "machine": describe_machine(),
            "precision": arguments.precision,
            **sizes._asdict(),
        }
    given = Given(
        machines=arguments.machines,
        cores=arguments.cores,
        memory=arguments.memory * 1e9,
        hours=arguments.hours,
        prices=Prices(**dict(arguments.prices)),
    )
    plans, reaches = [plan(slopes, given, photos) for photos in SIZES], bounds(slopes, given)
    sys.stdout.write(f"\n{', '.join(f'{name} {value}' for name, value in measured['machine'].items())}\n")
    sys.stdout.write(f"\nSlopes\n{align(slope_rows(slopes))}")
    sys.stdout.write(f"\nPlan: {_words(arguments)}\n{align(plan_rows(plans))}")
    sys.stdout.write(f"\n{align(advice_rows(plans))}")
    sys.stdout.write(f"\nWhat bounds, from how many photos on\n{align(bound_rows(reaches))}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    whole = {
        "measured": measured,
        "slopes": asdict(slopes),
        "given": asdict(given),
        "plan": [asdict(own) for own in plans],
        "bounds": {bound.name: reach for bound, reach in reaches.items()},
    }
    (arguments.output / "plan.json").write_text(json.dumps(whole, indent=2) + "\n")


def _words(arguments: argparse.Namespace) -> str:
    return (
        f"machines: {arguments.machines}, of {arguments.cores} cores and {arguments.memory:g} GB of memory, "
        f"nights of {arguments.hours:g} hours"
    )


def _price(text: str) -> tuple[str, float]:
    name, _, figure = text.partition("=")
    if name not in asdict(Prices()):
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(asdict(Prices()))}")
    return name, float(figure)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, required=True, help="Folder for the JSON file.")
    options.add_argument("--slopes", type=Path, help="The JSON file of an earlier run; nothing is measured.")
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of photos.")
    options.add_argument("--photos", type=int, nargs=2, default=[500, 2_000], help="Of them, in real runs.")
    options.add_argument("--keys", type=int, nargs=2, default=[100_000, 1_000_000], help="Of made-up photos.")
    options.add_argument(
        "--trained", type=int, nargs=2, default=[40_000, 80_000], help="Made-up photos that a head is trained on."
    )
    options.add_argument(
        "--precision", default="auto", help="As RetrainFlowers takes it; int8 leaves the fewest bytes."
    )
    options.add_argument("--machines", type=int, default=1, help="That decode and embed.")
    options.add_argument("--cores", type=int, default=16, help="Of each.")
    options.add_argument("--memory", type=float, default=64, help="GB of the one that drives.")
    options.add_argument("--hours", type=float, default=8, help="Of a night.")
    options.add_argument(
        "--prices",
        type=_price,
        nargs="+",
        default=[],
        metavar="NAME=USD",
        help="In USD; put your own in their place. Defaults are about the list prices of one provider, without "
        "discounts, taxes and traffic out of its region: "
        + ", ".join(f"{name}={price:g}" for name, price in asdict(Prices()).items())
        + " (a GB for a month, 1,000 requests that write or list, 1,000 that read, an hour of 16 cores and 64 GB).",
    )
    return options


def slope_rows(slopes: Slopes) -> list[list[str]]:
    """The rows of a table: what, in which unit, what it is at the least, and what a million photos add."""
    lines = {
        "start-up of a run, s": Line(slopes.startup, 0),
        "hash, new, core s": slopes.hashing,
        "statistics, new, s": slopes.summed,
        **{f"{name}, new, core s": own for name, own in slopes.spread.items()},
        **{f"{name}, all, s": own for name, own in slopes.alone.items()},
        "shards": slopes.shards,
        "looks at shards, s": slopes.shards.times(slopes.shard_seconds),
        **{f"stored, {name}, GB": own.times(1e-9) for name, own in slopes.bytes.items()},
        **{f"{kind}, {state}": own for state, kinds in slopes.requests.items() for kind, own in kinds.items()},
        "memory whatever the photos, GB": Line(slopes.base / 1e9, 0),
        **{f"memory, {part}, GB": own.times(1e-9) for part, own in slopes.memory.items()},
    }
    head = ["", "at least", "each million photos"]
    return [head, *([name, short(own.least), short(own.each * 1e6)] for name, own in lines.items())]


def plan_rows(plans: Sequence[Plan]) -> list[list[str]]:
    """The rows of a table, a column for each size."""
    runs: dict[str, list[float]] = {}
    for state, each in ((COLD, [own.cold for own in plans]), (NIGHT, [own.night for own in plans])):
        runs[f"{state}, hours"] = [own.hours for own in each]
        runs[f"{state}, of them one machine alone"] = [own.alone for own in each]
        runs[f"{state}, requests"] = [own.requests for own in each]
        runs[f"{state}, USD"] = [own.cost for own in each]
    rows = {
        "stored, TB": [own.bytes / 1e12 for own in plans],
        "stored, USD a month": [own.month for own in plans],
        "shards of a cold run": [own.shards for own in plans],
        "memory of the driving machine, GB": [own.memory / 1e9 for own in plans],
        **runs,
    }
    head = ["", *(f"{own.photos:,}" for own in plans)]
    return [head, *([name, *map(short, figures)] for name, figures in rows.items())]


def advice_rows(plans: Sequence[Plan]) -> list[list[str]]:
    """The rows of a table, one a size: what bounds it first, also with more machines, and what to turn on."""
    words = [(own.bound or "", own.stays or "", ", ".join(own.turn_on)) for own in plans]
    rows = [[f"{own.photos:,}", *(word or "-" for word in told)] for own, told in zip(plans, words, strict=True)]
    return [["photos", "first bound", "however many machines", "turn on"], *rows]


def short(figure: float) -> str:
    """Three significant digits, thousands with commas."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def align(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as columns: figures to the right, the words of the first and of the last column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    lines = (
        "  ".join(
            cell.ljust(w) if place in {0, last} else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def bound_rows(reaches: Mapping[Bound, int]) -> list[list[str]]:
    """The rows of a table: what bounds, from how many photos on, and whether more machines help."""
    rows = [["what", "photos", "more machines help"]]
    return rows + [[bound.name, f"{reach:,}", "yes" if bound.spread else "no"] for bound, reach in reaches.items()]


if __name__ == "__main__":
    main()

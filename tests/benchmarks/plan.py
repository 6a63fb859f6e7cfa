"""Needs of 10,000 to 1,000,000,000 photos, planned from the measured costs of few, and the first limits.

Everything is measured on this machine at two numbers of photos, which separates the cost of a start from that of a
photo. The plan is for machines of the same processor. Only decode and bottleneck are spread over machines, as with
--engine ray; hashing takes all cores of the driving machine, and everything else is as fast there as here. --slopes
plans again from the JSON file of an earlier run, without measuring.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.benchmarks.measure import FLOWERS, Output, Source, align, describe_machine, run_command, write_json
from tests.benchmarks.sizing import Bound, Line, Machines, Plan, Prices, Slopes, find_bounds, make_plan

NUMBERS = tuple(10**power for power in range(4, 10))
Rows = list[list[str | float]]


def main(
    output: Output,
    slopes: Annotated[Path | None, typer.Option(help="JSON file of an earlier run; nothing is measured.")] = None,
    source: Source = FLOWERS,
    photos: Annotated[tuple[int, int], typer.Option(help="Photos in real runs.")] = (500, 2_000),
    keys: Annotated[tuple[int, int], typer.Option(help="Made-up photos.")] = (100_000, 1_000_000),
    trained: Annotated[tuple[int, int], typer.Option(help="Made-up photos for a head.")] = (40_000, 80_000),
    machines: Annotated[int, typer.Option(help="Machines that decode and embed.")] = 1,
    cores: Annotated[int, typer.Option(help="Cores of each.")] = 16,
    memory: Annotated[float, typer.Option(help="GB of memory of the driving machine.")] = 64,
    hours: Annotated[float, typer.Option(help="Hours that a run may take.")] = 8,
    prices: Annotated[
        tuple[float, float, float, float],
        typer.Option(
            help="USD for a GB and month, 1,000 requests that write or list, 1,000 that read, and an hour of a "
            "machine. Defaults are about the list prices of one provider, for 16 cores and 64 GB."
        ),
    ] = Prices(),
) -> None:
    measured, found = _read(slopes) if slopes else _measure(source, photos, keys, trained)
    given = Machines(machines, cores, memory * 1e9, hours, Prices(*prices))
    plans, bounds = [make_plan(found, given, number) for number in NUMBERS], find_bounds(found, given)
    name = f"{machines} x {cores} cores, {memory:g} GB of memory, {hours:g} hours"
    typer.echo(f"\nCosts, measured on {measured['machine']['processor']}\n{align(slope_rows(found))}")
    typer.echo(f"Plan for {name}\n{align(plan_rows(plans))}")
    typer.echo(f"Limits\n{align(bound_rows(bounds))}", nl=False)
    facts = {
        "measured": measured,
        "slopes": asdict(found),
        "machines": asdict(given),
        "plan": [plan._asdict() for plan in plans],
        "bounds": {bound.name: reach for bound, reach in bounds.items()},
    }
    write_json("plan", output, **facts)


def _read(path: Path) -> tuple[dict[str, Any], Slopes]:
    earlier = json.loads(path.read_text())
    return earlier["measured"], Slopes.from_json(earlier["slopes"])


def _measure(source: Path, *sizes: tuple[int, int]) -> tuple[dict[str, Any], Slopes]:
    from tests.benchmarks.slopes import Sizes, measure_slopes  # noqa: PLC0415 (slow to import)

    given = Sizes(*sizes)
    found = measure_slopes(source, given)
    return {"machine": describe_machine(), **given._asdict()}, found


def slope_rows(slopes: Slopes) -> Rows:
    lines = {
        "startup of a run, s": Line(slopes.startup, 0),
        "hashing, new photos, core s": slopes.hashing,
        "statistics, new photos, s": slopes.statistics,
        **{f"{name}, new photos, core s": line for name, line in slopes.parallel.items()},
        **{f"{name}, all photos, s": line for name, line in slopes.serial.items()},
        "shards": slopes.shards,
        "opening shards, s": slopes.shards.times(slopes.shard_seconds),
        **{f"stored, {name}, GB": line.times(1e-9) for name, line in slopes.bytes.items()},
        **{f"{kind}, {state}": line for state, kinds in slopes.requests.items() for kind, line in kinds.items()},
        "memory for any number of photos, GB": Line(slopes.base_memory / 1e9, 0),
        **{f"memory, {part}, GB": line.times(1e-9) for part, line in slopes.memory.items()},
    }
    head: Rows = [["", "at least", "a million photos"]]
    return head + [[name, line.intercept, line.slope * 1e6] for name, line in lines.items()]


def plan_rows(plans: Sequence[Plan]) -> Rows:
    rows: dict[str, list[str | float]] = {
        "stored, TB": [plan.bytes / 1e12 for plan in plans],
        "stored, USD a month": [plan.month for plan in plans],
        "shards of a cold run": [plan.shards for plan in plans],
        "memory of the driving machine, GB": [plan.memory / 1e9 for plan in plans],
    }
    for state, runs in (("cold", [plan.cold for plan in plans]), ("1 % new", [plan.later for plan in plans])):
        rows[f"{state}, hours"] = [run.hours for run in runs]
        rows[f"{state}, hours on one machine"] = [run.serial_hours for run in runs]
        rows[f"{state}, requests"] = [run.requests for run in runs]
        rows[f"{state}, USD"] = [run.cost for run in runs]
    rows["first limit"] = [plan.bound or "-" for plan in plans]
    rows["turn on"] = [", ".join(plan.turn_on) or "-" for plan in plans]
    return [["", *(f"{plan.photos:,}" for plan in plans)], *([name, *own] for name, own in rows.items())]


def bound_rows(bounds: Mapping[Bound, int]) -> Rows:
    rows: Rows = [["", "photos", "more machines help"]]
    return rows + [[bound.name, f"{reach:,}", "yes" if bound.scales else "no"] for bound, reach in bounds.items()]


if __name__ == "__main__":
    run_command(main, __doc__)

"""Options, timing, memory, tables and JSON files of the benchmarks. Memory is read from Linux's /proc."""

import datetime as dt
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar, get_args

import psutil
import typer

from tasks.bottleneck.precision import Precision
from tasks.hardware import available_cores, find_gpus, find_hardware

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
#: Figures of each way to do something, one a round.
Figures = Mapping[str, Sequence[float]]

Output = Annotated[Path, typer.Option(help="Folder for the JSON file.")]
Repeat = Annotated[int, typer.Option(help="Timed rounds.")]
Source = Annotated[Path, typer.Option(help="Folder of photos, <label>/<photo>.")]
FLOWERS = Path("../shared/flower_photos")

_FEATURES = {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "asimddp"}


@dataclass(frozen=True)
class Table:
    """Figures of several ways to do the same."""

    title: str  #: The measurement.
    unit: str  #: Unit of the figures, such as "photos/s" or "s".
    rows: Figures  #: Figures of each way. All ratios are to the first way.
    lower_is_better: bool = False  #: Whether a ratio says how many times as fast or as small a way is.

    def ratio(self, way: str) -> float:
        """Return how many times as good as the first way a way is: median to median."""
        own, first = (statistics.median(self.rows[name]) for name in (way, next(iter(self.rows))))
        return first / own if self.lower_is_better else own / first

    def to_text(self) -> str:
        rows: list[list[str | float]] = [["", f"median {self.unit}", "lowest", "highest", "ratio"]]
        for way, figures in self.rows.items():
            ratio = f"{self.ratio(way):.2f}"
            rows.append([way, statistics.median(figures), min(figures), max(figures), ratio])
        return f"{self.title}\n{align(rows)}"


def usable_precisions() -> list[Precision]:
    """Return the precisions that this machine computes in, float32 first."""
    hardware = find_hardware()
    return [own for own in get_args(Precision) if own != "bfloat16" or hardware.gpu or hardware.bfloat16]


def run_command(main: Callable[..., None], description: str | None) -> None:
    """Run the function of a benchmark as a command; its parameters are the options."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=description)(main)
    app()


def in_fresh_process(function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
    """Call a function in a new process, which may start processes of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *args, **kwargs).result()


def time_call(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def time_in_turn(ways: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Time ways in turn, so that a noisy minute affects all of them; an untimed round comes first.

    Returns:
        Seconds of each way, one a round.
    """
    for way in ways.values():
        way()
    rounds = [{name: time_call(way) for name, way in ways.items()} for _ in range(repeat)]
    return {name: [seconds[name] for seconds in rounds] for name in ways}


def rates(seconds: Figures, count: int) -> dict[str, list[float]]:
    return {name: [count / each for each in own] for name, own in seconds.items()}


def read_memory(field: str) -> float:
    """Return resident memory of this process in MB: `VmRSS` is the current one, `VmHWM` the peak."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / 1e6


def reset_peak_memory() -> None:
    """Let the peak be the current memory; see proc_pid_clear_refs(5)."""
    Path("/proc/self/clear_refs").write_text("5")


def publish(name: str, tables: Sequence[Table], output: Path, **facts: object) -> None:
    """Print tables, and write them to `<output>/<name>.json`."""
    for table in tables:
        typer.echo(f"\n{table.to_text()}", nl=False)
    told = [{**asdict(table), "ratios": {way: table.ratio(way) for way in table.rows}} for table in tables]
    write_json(name, output, **facts, tables=told)


def write_json(name: str, output: Path, **facts: object) -> None:
    """Write facts to `<output>/<name>.json` with the date and the machine."""
    whole = {"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}", "machine": describe_machine(), **facts}
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.json").write_text(json.dumps(whole, indent=2, default=str) + "\n")


def describe_machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    return {
        "processor": facts.get("model name", platform.machine()),
        "cores": f"{available_cores()}",
        "features": " ".join(sorted(flags & _FEATURES)) or "none",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "gpus": ", ".join(find_gpus()) or "none",
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
    }


def align(rows: Sequence[Sequence[str | float]]) -> str:
    """Lay out rows as columns: the first one to the left, the others to the right."""
    cells = [[cell if isinstance(cell, str) else _short(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells)
    return "".join(f"{line}\n" for line in lines)


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.4g}"

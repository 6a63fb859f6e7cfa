"""How every benchmark measures and tells: ways timed in turn, one table on the terminal, one JSON file."""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from tasks.hardware import available_cores

_TOLD_FLAGS = {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "asimddp"}


@dataclass(frozen=True)
class Table:
    """What a benchmark measured.

    Args:
        name: The benchmark's module; names the JSON file too.
        title: What was measured.
        unit: Of the figures, such as "photos/s" or "s".
        against: The way that the ratios are to.
        rows: Figures of each way, one a round.
        less_is_better: Whether figures are times or sizes; the ratio then says how many times as fast (or small).
    """

    name: str
    title: str
    unit: str
    against: str
    rows: Mapping[str, Sequence[float]]
    less_is_better: bool = False

    def ratio(self, way: str) -> float:
        """How many times as good a way is as the one it is compared with: median to median."""
        own, other = (statistics.median(self.rows[name]) for name in (way, self.against))
        return other / own if self.less_is_better else own / other


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, required=True, help="Folder for the JSON file.")
    options.add_argument("--repeat", type=int, default=5, help="Rounds that are timed.")
    return options


def time_in_turn(ways: Mapping[str, Callable[[], object]], repeat: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Time ways in turn, round after round, so that a noisy minute hits all of them.

    Args:
        ways: What to time, by name.
        repeat: Rounds that are timed.
        warm: Whether an untimed round comes first.

    Returns:
        Seconds of each way, one a round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values() if warm else ():
        way()
    for _ in range(repeat):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def rates(seconds: Mapping[str, Sequence[float]], count: int) -> dict[str, list[float]]:
    """Things a second, of seconds for so many things."""
    return {name: [count / each for each in own] for name, own in seconds.items()}


def tell(tables: Sequence[Table], output: Path, **facts: object) -> None:
    """Print tables, and write them to `<output>/<name>.json` with the machine and whatever else is to be known."""
    machine = describe_machine()
    sys.stdout.write(f"{', '.join(f'{name} {value}' for name, value in machine.items())}\n")
    for table in tables:
        sys.stdout.write(f"\n{table.title}\n")
        width = max(map(len, table.rows))
        sys.stdout.write(f"{'':<{width}} {'median ' + table.unit:>18} {'least to most':>24} {'ratio':>8}\n")
        for way, figures in table.rows.items():
            spread = f"{_short(min(figures))} to {_short(max(figures))}"
            median = _short(statistics.median(figures))
            sys.stdout.write(f"{way:<{width}} {median:>18} {spread:>24} {table.ratio(way):>8.2f}\n")
    output.mkdir(parents=True, exist_ok=True)
    whole = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine,
        **facts,
        "tables": [{**asdict(table), "ratios": {way: table.ratio(way) for way in table.rows}} for table in tables],
    }
    (output / f"{tables[0].name}.json").write_text(json.dumps(whole, indent=2, default=str) + "\n")


def describe_machine() -> dict[str, str]:
    """The machine by kind, and the versions that matter."""
    model, flags = _processor()
    machine = {
        "processor": model,
        "cores": f"{available_cores()}",
        "features": " ".join(sorted(flags & _TOLD_FLAGS)) or "none",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
    }
    return machine | _gpu()


def _processor() -> tuple[str, set[str]]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or platform.machine(), set()
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    return facts.get("model name", platform.machine()), set(facts.get("flags", facts.get("Features", "")).split())


def _gpu() -> dict[str, str]:
    """The GPU that TensorFlow computes on, if any; a benchmark without TensorFlow computes on none."""
    if "tensorflow" not in sys.modules:
        return {}
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (loaded already)

    names = [
        tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {"gpu": ", ".join(names)} if names else {}


def _short(figure: float) -> str:
    """Four significant digits, thousands with commas."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.4g}"

"""Seconds from shell to exit by engine and data root: a cold run, one with 1 % new photos, one with nothing to do.

On a disk, photos and data root are folders; on the object store, both are there: a real S3 server on the same cores, so
that its cost is in the figures. Requests are counted by a gateway before it. All ways take turns, each in a fresh data
root with all defaults of RetrainFlowers.
"""

import os
import tempfile
import time

import typer

from tests.benchmarks.measure import FLOWERS, Output, Repeat, Source, Table, publish, run_command
from tests.benchmarks.runs import NOTHING, add_photos, choose_photos, read_record, retrain, split_new
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import serving


def main(output: Output, repeat: Repeat = 3, source: Source = FLOWERS, photos: int = 0) -> None:
    """Time all ways on all photos or on so many of them."""
    rows: dict[str, list[float]] = {}
    without_export: dict[str, list[float]] = {}
    requests: dict[str, dict[str, int]] = {}
    chosen = choose_photos(source, photos)
    with serving() as server, Gateway(server.port).serving() as gateway, tempfile.TemporaryDirectory() as folder:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": gateway.address})
        for number in range(repeat):
            places = {
                f"{engine}, {where}": (engine, f"{base}/{number}/{engine}")
                for engine in ("local", "ray")
                for where, base in (("disk", folder), ("object store", server.url("roots")))
            }
            for state, added in split_new(chosen).items():
                for way, (engine, place) in places.items():
                    add_photos(added, source, f"{place}/photos")
                    with gateway.counting() as counted:
                        started = time.perf_counter()
                        retrain(f"{place}/photos", f"{place}/data", engine=engine)
                        seconds = time.perf_counter() - started
                    rows.setdefault(f"{way}: {state}", []).append(seconds)
                    if counted:
                        requests[f"{way}: {state}"] = dict(counted)
                    if state != NOTHING:
                        export = read_record(f"{place}/data")["stages"]["export"]["seconds"]
                        without_export.setdefault(f"{way}: {state}", []).append(seconds - export)
    for name, kinds in requests.items():
        typer.echo(f"{name}: {', '.join(f'{kind} {count:,}' for kind, count in kinds.items())}")
    tables = [
        Table(f"{len(chosen):,} photos, from shell to exit", "s", rows, lower_is_better=True),
        Table("The same without the seconds of the export", "s", without_export, lower_is_better=True),
    ]
    publish("data_roots", tables, output, requests=requests)


if __name__ == "__main__":
    run_command(main, __doc__)

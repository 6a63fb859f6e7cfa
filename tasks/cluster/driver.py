"""Drives Ray: `python -m tasks.cluster.driver <descriptor> <address> <cpus> <folder>`, started by `driver_process`.

It ends with its standard input, and so does all that it has started, even if its parent is killed.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, cast

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError, RayTaskError

from tasks.cluster.actor import Actor, Failure
from tasks.cluster.driver_process import ClusterTask, Failed
from tasks.cluster.resources import Node

#: Bytes for objects on their way between processes, of a Ray of this machine: blocks name photos, and hold none.
_STORE_BYTES = 256 * 2**20
#: Attempts at a block whose actor was lost: a block that kills its actor each time must not be tried forever.
_TRIES = 10
#: Seconds that Ray may take to end; then the rest of it is killed.
_END_PATIENCE = 10.0


def drive(connection: Connection, **options: Any) -> None:
    """Connect to a cluster, report its nodes, process the blocks of one task, and send the results."""
    try:
        ray.init(log_to_driver=False, **options)
    except Exception as exc:  # noqa: BLE001 (ConnectionError, RuntimeError, ValueError, OSError or RayError)
        connection.send(Failed(str(exc)))
        return
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        connection.send([Node(resources.get("CPU", 0), resources.get("GPU", 0)) for resources in alive])
        for pickled in _process(connection.recv()):
            connection.send(pickled)
        connection.send(None)
    except RayTaskError as exc:
        # An exception on a node outside of the work, as where the work cannot be unpickled.
        connection.send(Failed(str(exc.cause or exc)))
    except RayError as exc:
        connection.send(Failed(str(exc)))
    except Exception as exc:  # noqa: BLE001 (the parent process raises it)
        connection.send(Failure(exc).pickled())


def _process(task: ClusterTask) -> Iterator[bytes]:
    """Process the blocks, and yield the pickled results in the order in which they come."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    pool, most = task.pool, len(task.blocks)
    # Up to one for each block, if more nodes join.
    actors = ray.data.ActorPoolStrategy(min_size=1, initial_size=min(max(pool.actors, 1), most), max_size=most)
    done = ray.data.from_arrow(task.blocks).map_batches(
        Actor,
        fn_constructor_args=(task.job, pool),
        batch_size=None,
        batch_format="pyarrow",
        compute=actors,
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
        max_restarts=-1,
        max_task_retries=_TRIES,
    )
    tables = done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    for table in cast("Iterable[pa.Table]", tables):
        yield from table.column("outcome").to_pylist()


def _end_with_input() -> None:
    """Interrupt this program when its standard input ends, which it may not notice while it waits in Ray."""
    sys.stdin.buffer.read()
    # A signal also ends its wait for a message.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    _kill_later()


def _kill_later() -> None:
    killer = threading.Timer(_END_PATIENCE, os.killpg, (os.getpgrp(), signal.SIGKILL))
    killer.daemon = True
    killer.start()


def main() -> None:
    """Drive the cluster of the command line."""
    parent = os.getppid()
    # The parent may ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_input, daemon=True).start()
    descriptor, address, cpus, folder = sys.argv[1:]
    options: dict[str, Any] = {"address": address or "local"}
    if not address:
        options |= {"num_cpus": int(cpus), "object_store_memory": _STORE_BYTES}
        options |= {"include_dashboard": False, "_temp_dir": folder}
    try:
        with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
            drive(Connection(int(descriptor)), **options)
    finally:
        _kill_later()
        ray.shutdown()
        if os.getppid() != parent:
            # The parent was killed, and cannot remove it.
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

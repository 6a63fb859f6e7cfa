"""The program that drives Ray: `python -m tasks.cluster.driver <descriptor>`, started and spoken to by `program`.

One of its own, since Ray ends the process that it is driven from where a cluster is lost, writes to its standard error
as it likes, and takes its signals over. It ends when its standard input does, as where whoever started it was killed,
and with it what it has started.
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
from tasks.cluster.messages import Address, BlockResult, ClusterTask, Failed, Finished, Ready
from tasks.cluster.resources import Node

#: Memory for what is under way between processes, of a Ray of this machine: blocks name photos, and hold none.
_STORE_BYTES = 256 * 2**20
#: How often a block is tried again whose actor was lost: one that costs it its life each time is not tried for ever.
_TRIES = 10
#: Seconds that Ray may take to end; what is left of it then is killed.
_END_PATIENCE = 10.0


def drive(connection: Connection, address: Address) -> None:
    """Connect to a cluster, say what is there, do the task that comes, and send what comes of it."""
    try:
        _connect(address)
    except Exception as exc:  # noqa: BLE001 (ConnectionError, RuntimeError, ValueError, OSError and RayError, as it comes)
        connection.send(Failed(str(exc)))
        return
    try:
        connection.send(Ready(_nodes()))
        for pickled in _work(connection.recv()):
            connection.send(BlockResult(pickled))
        connection.send(Finished())
    except RayTaskError as exc:
        # What is raised on a node outside of the work: the work itself cannot be read there.
        connection.send(Failed(str(exc.cause or exc)))
    except RayError as exc:
        connection.send(Failed(str(exc)))
    except Exception as exc:  # noqa: BLE001 (whoever started this program raises it)
        connection.send(BlockResult(Failure(exc).pickled()))


def _connect(address: Address) -> None:
    own: dict[str, Any] = {}
    if not address.address:
        own = {
            "num_cpus": address.cpus,
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
            "_temp_dir": address.folder,
        }
    ray.init(address.address or "local", log_to_driver=False, **own)


def _nodes() -> list[Node]:
    nodes = ray.nodes()
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return [Node(resources.get("CPU", 0), resources.get("GPU", 0)) for resources in alive]


def _work(task: ClusterTask) -> Iterator[bytes]:
    """Have the blocks done, and hand on what comes of them, in the order in which it does."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    pool, most = task.pool, len(task.blocks)
    # As many as there are blocks, if so many nodes come.
    actors = ray.data.ActorPoolStrategy(min_size=1, initial_size=min(max(pool.actors, 1), most), max_size=most)
    done = ray.data.from_arrow(task.blocks).map_batches(
        Actor,
        fn_constructor_args=(task.work, task.place),
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
    # As a signal, which ends its waiting for a message too.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    _end_soon()


def _end_soon() -> None:
    """Kill what is left of this program, and of all that it has started, when it has had time to end."""
    killer = threading.Timer(_END_PATIENCE, os.killpg, (os.getpgrp(), signal.SIGKILL))
    killer.daemon = True
    killer.start()


def main() -> None:
    """Drive, over the connection whose descriptor is given."""
    parent = os.getppid()
    # Whoever starts it may ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_input, daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    address: Address = connection.recv()
    try:
        with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
            drive(connection, address)
    finally:
        _end_soon()
        ray.shutdown()
        if os.getppid() != parent:
            # Nobody else is left to do it.
            shutil.rmtree(address.folder, ignore_errors=True)


if __name__ == "__main__":
    main()

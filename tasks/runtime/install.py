"""Installs the runtime in Luigi's program: streams, settings, exit codes, signals, worker and failures."""

import gc
import os

from tasks.runtime import exit_codes, luigi_failures, luigi_settings, luigi_worker, signals
from tasks.runtime.standard_streams import reopen_closed_streams

#: Logarithm of the cycles for which an idle thread of OpenBLAS spins before it sleeps; OpenBLAS reads it when numpy and
#: SciPy are imported. At its default, 26, spinning threads take the cores from those that they wait for where other
#: programs run: a factorisation took two to four times as long.
_OPENBLAS_SPIN = ("OPENBLAS_THREAD_TIMEOUT", "14")
#: Objects that are made until Python looks for cycles among them. At its default, 700, it looked through all objects
#: several times in a nightly run, for 0.2 s.
_GC_THRESHOLD = 50_000


def install() -> None:
    """Prepare this process to be Luigi's program. Call it once, in the main thread, before Luigi runs a task.

    Raises:
        SystemExit: luigi.cfg has a value that cannot be read.
    """
    reopen_closed_streams()
    os.environ.setdefault(*_OPENBLAS_SPIN)
    gc.set_threshold(_GC_THRESHOLD)
    luigi_settings.set_defaults()
    exit_codes.install()
    signals.install()
    luigi_worker.install()
    luigi_failures.install()

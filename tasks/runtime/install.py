"""Installs the runtime in Luigi's program: streams, settings, exit codes, signals, worker and failures."""

from tasks.runtime import exit_codes, luigi_failures, luigi_settings, luigi_worker, signals
from tasks.runtime.standard_streams import reopen_closed_streams


def install() -> None:
    """Prepare this process to be Luigi's program. Call it once, in the main thread, before Luigi runs a task.

    Raises:
        SystemExit: luigi.cfg has a value that cannot be read.
    """
    reopen_closed_streams()
    luigi_settings.set_defaults()
    exit_codes.install()
    signals.install()
    luigi_worker.install()
    luigi_failures.install()

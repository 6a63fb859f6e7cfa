"""The end of a worker process with the program that started it."""

import os
import threading
from multiprocessing import parent_process

from tasks.errors import BUG

#: The process that already ends with its parent; a fork of it does not.
_following = 0


def exit_with_parent() -> None:
    """End a worker process as soon as the program that started it has ended in any way."""
    global _following  # noqa: PLW0603 (a process has one parent)
    parent = parent_process()
    if parent is None or _following == os.getpid():
        return
    _following = os.getpid()

    def follow() -> None:
        parent.join()
        os._exit(BUG)

    threading.Thread(target=follow, name="parent", daemon=True).start()

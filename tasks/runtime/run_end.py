"""Tells a listener that Luigi's program ends, from the one place that sees each end but a kill."""

from collections.abc import Callable, Sequence

from tasks.runtime.exit_codes import RunFailure

#: Called with the words of the command, the failure if there was one, and how many seconds it may take.
EndListener = Callable[[Sequence[str], RunFailure | None, float], object]
_listener: EndListener | None = None


def on_end(listener: EndListener) -> None:
    """Call a function when Luigi's program ends, in its main process, once Luigi has run all tasks.

    When a signal ends the program, it is called from another thread, without the words of the command.
    """
    global _listener  # noqa: PLW0603 (a program ends once)
    _listener = listener


def report_end(words: Sequence[str], failure: RunFailure | None, seconds: float = 10.0) -> None:
    """Call the listener."""
    if _listener:
        _listener(words, failure, seconds)

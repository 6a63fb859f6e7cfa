"""The listener of a program's end gets its first failure, in whichever process that happened."""

import json
import sys
from collections.abc import Sequence

import luigi
import pytest

from tasks.errors import StoreError
from tasks.runtime.exit_codes import RunFailure
from tasks.runtime.run_end import on_end
from tests.support.processes import Finished, run

COMMAND = (sys.executable, "-m", "tests.support.luigi_program", "--module", __name__)


class End(luigi.Task):
    """A task of a run that ends in one way or another."""

    how: luigi.Parameter[str] = luigi.Parameter(description="How it ends.")
    run_id = "a run"
    #: Whether it has run in this process.
    has_run = False

    def complete(self) -> bool:
        """Whether it is done, which cannot be told of some."""
        if self.how == "unknown":
            raise ValueError("a bug of ours")
        return self.has_run

    def run(self) -> None:
        """Do nothing, or raise an error."""
        if self.how not in ("done", "incomplete"):
            raise StoreError(self.how)
        self.has_run = self.how == "done"


class Listed(luigi.Task):
    """A task that prints what a listener gets; importing this module in a test does not."""

    how: luigi.Parameter[str] = luigi.Parameter(description="How `End` ends.")
    run_id = "another run"

    def requires(self) -> luigi.Task:
        """Register the listener in the main process, before any work."""
        on_end(_print_end)
        return End(how=self.how)

    def complete(self) -> bool:
        """Whether `End` is done."""
        return End(how=self.how).has_run


def _print_end(words: Sequence[str], failure: RunFailure | None, seconds: float) -> None:
    print(json.dumps([words[0], failure, seconds]))  # noqa: T201 (for the test)


def end(how: str, workers: str = "1") -> tuple[Finished, list[object] | None]:
    done = run([*COMMAND, "Listed", "--how", how, "--workers", workers])
    words, failure, seconds = json.loads(done.output)
    assert (words, seconds) == ("--module", 10.0)
    return done, failure


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("message", ["a damaged shard", "Blüte \udcff\n" * 200])
def test_it_gets_message_exit_code_and_run_of_a_task_in_any_process(message: str, workers: str) -> None:
    done, failure = end(message, workers)
    assert failure == [55, message[:1000], "a run"]
    assert done.code == 55


def test_it_gets_no_failure_of_a_program_that_is_done() -> None:
    done, failure = end("done")
    assert (done.code, failure) == (0, None)


def test_it_gets_a_failure_that_luigi_alone_knows_without_an_exit_code() -> None:
    done, failure = end("unknown")
    assert done.code == 35
    assert failure == [
        None,
        "Luigi reports that there were tasks whose scheduling failed. Its log names the cause.",
        None,
    ]


def test_it_gets_a_bug_as_such() -> None:
    done, failure = end("incomplete")
    assert (done.code, failure) == (
        30,
        [30, "Task finished running, but complete() is still returning false.", "a run"],
    )

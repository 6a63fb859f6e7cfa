"""The failures that an actor returns, and its checks of the node that it is on."""

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.cluster.actor import Failure, Job, Work, check_folder, check_version, run_job
from tasks.errors import MachineError
from tasks.storage.errors import DamagedError
from tasks.storage.tempfiles import make_temporary

BLOCK = pa.table({"row": [1, 2]})


def failure(work: Work, root: Path, mark: str = "") -> Exception:
    """Run work that fails in an actor."""
    result = pickle.loads(run_job(Job("decode", str(root), work, mark), BLOCK))  # noqa: S301 (our own)
    assert isinstance(result, Failure)
    return result.error


def test_an_error_that_names_a_file_still_does(tmp_path: Path) -> None:
    def damaged(_: pa.Table) -> None:
        raise DamagedError(tmp_path / "x", "x is damaged. Delete it.")

    error = failure(damaged, tmp_path)
    assert isinstance(error, DamagedError)
    assert (error.path, str(error)) == (tmp_path / "x", "x is damaged. Delete it.")


def test_a_bug_has_the_lines_that_led_to_it(tmp_path: Path) -> None:
    error = failure(lambda block: block.column("no such"), tmp_path)
    assert isinstance(error, KeyError)
    assert "test_actor.py" in "".join(error.__notes__)


def test_an_error_that_cannot_be_sent_comes_as_text(tmp_path: Path) -> None:
    class OfNoModuleError(Exception):
        """Cannot be pickled."""

    def fail(_: pa.Table) -> None:
        raise OfNoModuleError("wrong")

    error = failure(fail, tmp_path)
    assert isinstance(error, RuntimeError)
    assert "OfNoModuleError: wrong" in str(error)


def test_a_full_disk_is_explained_in_a_sentence(tmp_path: Path) -> None:
    def fill(_: pa.Table) -> None:
        raise OSError(28, "No space left on device")

    error = failure(fill, tmp_path)
    assert isinstance(error, MachineError)
    assert "The stage decode cannot read or write" in str(error)


def test_a_node_with_another_data_root_is_an_error(tmp_path: Path) -> None:
    with make_temporary(tmp_path / "mark", folder=False) as mark:
        job = Job("decode", str(tmp_path), len, str(mark))
        assert pickle.loads(run_job(job, BLOCK)) == 2  # noqa: S301 (our own)
    error = failure(len, tmp_path, str(mark))
    assert isinstance(error, MachineError)
    assert f"does not see the data root {tmp_path}, or has one of its own there" in str(error)


def test_a_node_without_the_photos_is_an_error(tmp_path: Path) -> None:
    check_folder(tmp_path)
    with pytest.raises(MachineError, match=r"does not see the photos in .*gone"):
        check_folder(tmp_path / "gone")


def test_a_node_with_another_version_is_an_error() -> None:
    check_version("key", "key")
    with pytest.raises(MachineError, match="has another version of this project"):
        check_version("key", "other")

"""What an actor hands back where its work fails, and what it finds wrong with the node that it is on."""

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.cluster.actor import ActorContext, Failure, Work, check_folder, check_version, run_work
from tasks.errors import MachineError
from tasks.storage.errors import DamagedError
from tasks.storage.tempfiles import marking
from tests.cluster.works import Break, Stumble

BLOCK = pa.table({"row": [1, 2]})


def failure(work: Work, root: Path, mark: str = "") -> Exception:
    """What an actor hands back instead of a result."""
    came = pickle.loads(run_work(work, ActorContext("decode", str(root), mark), BLOCK))  # noqa: S301 (our own)
    assert isinstance(came, Failure)
    return came.error


def test_an_error_that_names_a_file_still_does(tmp_path: Path) -> None:
    error = failure(Break(tmp_path / "x"), tmp_path)
    assert isinstance(error, DamagedError)
    assert (error.path, str(error)) == (tmp_path / "x", f"{tmp_path / 'x'} is damaged. Delete it.")


def test_a_bug_has_the_lines_that_led_to_it(tmp_path: Path) -> None:
    error = failure(Stumble(), tmp_path)
    assert isinstance(error, KeyError)
    assert "works.py" in "".join(error.__notes__)


def test_an_error_that_cannot_be_sent_comes_as_text() -> None:
    class OfNoModuleError(Exception):
        """Cannot be pickled."""

    came = pickle.loads(Failure(OfNoModuleError("wrong")).pickled())  # noqa: S301 (our own)
    assert isinstance(came.error, RuntimeError)
    assert "OfNoModuleError: wrong" in str(came.error)


def test_a_full_disk_is_told_of_in_a_sentence(tmp_path: Path) -> None:
    def fill(_: pa.Table) -> None:
        raise OSError(28, "No space left on device")

    error = failure(fill, tmp_path)
    assert isinstance(error, MachineError)
    assert "The stage decode cannot read or write" in str(error)


def test_a_node_with_another_data_root_is_told_of(tmp_path: Path) -> None:
    with marking(tmp_path) as mark:
        work = ActorContext("decode", str(tmp_path), str(mark))
        assert pickle.loads(run_work(len, work, BLOCK)) == 2  # noqa: S301 (our own)
    error = failure(len, tmp_path, str(mark))
    assert isinstance(error, MachineError)
    assert f"does not see the data root {tmp_path}, or has one of its own there" in str(error)


def test_a_node_without_the_photos_is_told_of(tmp_path: Path) -> None:
    check_folder(tmp_path, "the photos")
    with pytest.raises(MachineError, match=r"does not see the photos in .*gone"):
        check_folder(tmp_path / "gone", "the photos")


def test_a_node_with_another_version_is_told_of() -> None:
    check_version("key", "key")
    with pytest.raises(MachineError, match="has another version of this project"):
        check_version("key", "other")

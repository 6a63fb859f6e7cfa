"""What libraries raise where the machine fails, told in a sentence."""

import errno
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import DatasetError, MachineError, SettingError, StoreError
from tasks.runtime.os_errors import explain_os_errors
from tasks.runtime.tensorflow_import import tf

FULL = os.strerror(errno.ENOSPC)


def fail(error: Exception) -> None:
    raise error


def wrap(error: Exception, cause: Exception) -> None:
    raise error from cause


def save_to_a_full_device() -> None:
    Path("/dev/full").write_bytes(b"a photo")


def use_too_much_of_arrow() -> None:
    pa.allocate_buffer(2**60)


def use_too_much_of_numpy() -> None:
    np.ones(2**58)


def use_too_much_of_tensorflow() -> None:
    # As it says after ten seconds of waiting for some memory.
    words = "OOM when allocating tensor with shape[4398046511104] on CPU:0 by allocator cpu [Op:Fill]"
    fail(tf.errors.ResourceExhaustedError(None, None, words))


def start_too_many_threads() -> None:
    fail(RuntimeError("can't start new thread"))


def find_no_place_for_temporary_files() -> None:
    fail(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"))


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (
            save_to_a_full_device,
            r"Training cannot read or write root \(No space left on device\)\. Make room, and run again",
        ),
        (lambda: fail(OSError(errno.EROFS, "", "shard")), r"write shard \(Read-only file system\). Make it writable"),
        (lambda: fail(PermissionError(errno.EACCES, "", "a")), "write a .Permission denied.. Mend the folder's rights"),
        (lambda: fail(OSError(errno.EMFILE, "", "a")), r"\(Too many open files\). Let more files be open at once"),
        (lambda: fail(tf.errors.ResourceExhaustedError(None, None, f"head-5; {FULL}")), "No space left.* Make room"),
        (lambda: fail(tf.errors.UnknownError(None, None, f"head-5; {FULL}")), "No space left.* Make room"),
        (lambda: fail(OSError(f"Can't write (errno = 28, error message = '{FULL}')")), "No space left.* Make room"),
        (lambda: wrap(StoreError("It is damaged."), OSError(errno.EIO, "", "shard")), "write shard .* Check the disk"),
        (find_no_place_for_temporary_files, "there is no room for temporary files"),
        (use_too_much_of_arrow, "Training has run out of memory .*smaller --batch-size"),
        (use_too_much_of_numpy, r"Training has run out of memory \(Unable to allocate"),
        (use_too_much_of_tensorflow, r"Training has run out of memory .*OOM when"),
        (lambda: fail(RuntimeError("std::bad_alloc")), r"Training has run out of memory \(std::bad_alloc\)"),
        (start_too_many_threads, "Training has run out of memory"),
    ],
)
def test_a_fault_of_the_machine_is_one_sentence_with_its_remedy(work: Callable[[], None], says: str) -> None:
    with pytest.raises(MachineError, match=says) as caught, explain_os_errors("Training", Path("root")):
        work()
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


def test_a_file_that_may_grow_no_further_is_told_of(tmp_path: Path) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(MachineError, match=r"File too large.*ulimit -f"), explain_os_errors("Training", tmp_path):
            (tmp_path / "shard").write_bytes(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


@pytest.mark.parametrize(
    "error",
    [
        DatasetError("There are no photos."),
        MachineError("A process that decodes was killed."),
        ValueError("a bug"),
        FileNotFoundError(errno.ENOENT, "gone", "elsewhere/photo.jpg"),
        KeyError("No space"),
    ],
)
def test_any_other_error_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explain_os_errors("Training", Path("root")):
        raise error
    assert caught.value is error


def test_a_sentence_that_memory_made_up_stays(tmp_path: Path) -> None:
    """A damaged file can ask for any amount of memory; whoever read it knows better."""
    with pytest.raises(StoreError, match="damaged"), explain_os_errors("Training", tmp_path):
        wrap(StoreError("The head is damaged."), MemoryError())


def test_what_vanishes_from_the_data_root_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=f"Training misses {tmp_path}/shard, which"),
        explain_os_errors("Training", tmp_path),
    ):
        (tmp_path / "shard").read_bytes()
    with pytest.raises(StoreError, match=f"misses {tmp_path}/head-5"), explain_os_errors("Training", tmp_path):
        tf.io.read_file(f"{tmp_path}/head-5")


def test_a_data_root_that_is_a_file_is_a_wrong_setting() -> None:
    with tempfile.NamedTemporaryFile() as file:
        root = Path(file.name) / "root"
        with (
            pytest.raises(SettingError, match=f"{file.name} is a file. Give another"),
            explain_os_errors("Training", root),
        ):
            root.mkdir()

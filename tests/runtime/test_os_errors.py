"""Exceptions of libraries about a failing machine or object store become errors with a message for the user."""

import errno
import json
import os
import re
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import DatasetError, MachineError, SettingError, StoreError
from tasks.paths import AnyPath, to_path
from tasks.runtime.os_errors import explain_os_errors, explain_store_error
from tasks.runtime.tensorflow_import import tf
from tasks.shards.shard import ShardGoneError, reading
from tasks.storage.files import publish_json, read_json
from tests.support.servers.object_store import ObjectStore, forget_stores

FULL = os.strerror(errno.ENOSPC)


def fail(error: Exception) -> None:
    raise error


def wrap(error: Exception, cause: Exception) -> None:
    raise error from cause


# TensorFlow's own message, which it raises after ten seconds of waiting for memory.
OOM = "OOM when allocating tensor with shape[4398046511104] on CPU:0 by allocator cpu [Op:Fill]"
NO_TEMPORARY = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda: Path("/dev/full").write_bytes(b"a photo"),
            r"Training cannot read or write root \(No space left on device\)\. Make room, and run again",
        ),
        (lambda: fail(OSError(errno.EROFS, "", "shard")), r"write shard \(Read-only file system\). Make it writable"),
        (lambda: fail(PermissionError(errno.EACCES, "", "a")), "write a .Permission denied.. Mend the folder's rights"),
        (lambda: fail(OSError(errno.EMFILE, "", "a")), r"\(Too many open files\). Let more files be open at once"),
        (lambda: fail(tf.errors.ResourceExhaustedError(None, None, f"head-5; {FULL}")), "No space left.* Make room"),
        (lambda: fail(tf.errors.UnknownError(None, None, f"head-5; {FULL}")), "No space left.* Make room"),
        (lambda: fail(OSError(f"Can't write (errno = 28, error message = '{FULL}')")), "No space left.* Make room"),
        (lambda: wrap(StoreError("It is damaged."), OSError(errno.EIO, "", "shard")), "write shard .* Check the disk"),
        (lambda: fail(NO_TEMPORARY), "there is no room for temporary files"),
        (lambda: pa.allocate_buffer(2**60), "Training has run out of memory .*smaller --batch-size"),
        (lambda: np.ones(2**58), r"Training has run out of memory \(Unable to allocate"),
        (lambda: fail(tf.errors.ResourceExhaustedError(None, None, OOM)), r"Training has run out of memory .*OOM when"),
        (lambda: fail(RuntimeError("std::bad_alloc")), r"Training has run out of memory \(std::bad_alloc\)"),
        (lambda: fail(RuntimeError("can't start new thread")), "Training has run out of memory"),
    ],
)
def test_failure_of_the_machine_is_one_line_with_its_remedy(work: Callable[[], object], message: str) -> None:
    with pytest.raises(MachineError, match=message) as caught, explain_os_errors("Training", Path("root")):
        work()
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


def test_limit_of_a_file_s_size_is_explained(tmp_path: Path) -> None:
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
def test_any_other_error_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explain_os_errors("Training", Path("root")):
        raise error
    assert caught.value is error


def test_error_for_the_user_with_a_memory_error_as_its_cause_is_kept(tmp_path: Path) -> None:
    """A damaged file can request any amount of memory."""
    with pytest.raises(StoreError, match="damaged"), explain_os_errors("Training", tmp_path):
        wrap(StoreError("The head is damaged."), MemoryError())


def test_file_that_vanishes_from_the_data_root_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=f"Training misses {tmp_path}/shard, which"),
        explain_os_errors("Training", tmp_path),
    ):
        (tmp_path / "shard").read_bytes()
    with pytest.raises(StoreError, match=f"misses {tmp_path}/head-5"), explain_os_errors("Training", tmp_path):
        tf.io.read_file(f"{tmp_path}/head-5")


def test_data_root_that_is_a_file_is_a_wrong_setting() -> None:
    with tempfile.NamedTemporaryFile() as file:
        root = Path(file.name) / "root"
        with (
            pytest.raises(SettingError, match=f"{file.name} is a file. Give another"),
            explain_os_errors("Training", root),
        ):
            root.mkdir()


#: Uses of an object store.
USES: dict[str, Callable[[AnyPath], object]] = {
    "reading": read_json,
    "writing": lambda path: publish_json(path, 1),
    "checking": lambda path: path.exists(),
}


def explain(use: Callable[[AnyPath], object], path: AnyPath, store: ObjectStore) -> str:
    """Return the message of the error that a stage ends with, which holds no secret."""
    with pytest.raises(MachineError) as caught, explain_os_errors("Training", path.parent):
        use(path)
    assert caught.value.__cause__ is not None
    message = str(caught.value)
    assert re.fullmatch(
        r"The object store cannot be used \(.+\)\. Check its address, the credentials .* are kept\.", message
    )
    assert store.secret not in message
    return message


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect"),
        ({"AWS_SECRET_ACCESS_KEY": "hid-den"}, "SignatureDoesNotMatch|403"),
        ({"AWS_SECRET_ACCESS_KEY": None, "AWS_ACCESS_KEY_ID": None}, "credentials"),
    ],
    ids=["it does not answer", "wrong credentials", "no credentials"],
)
def test_store_that_cannot_be_used(
    impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], says: str
) -> None:
    url = impatient.url("it.json")
    for name, value in variables.items():
        monkeypatch.delenv(name)
        if value:
            monkeypatch.setenv(name, value)
    forget_stores()
    for use in USES.values():
        message = explain(use, to_path(url), impatient)
        assert re.search(says, message)
        assert "hid-den" not in message


def test_missing_bucket(impatient: ObjectStore) -> None:
    assert "NoSuchBucket" in explain(USES["writing"], to_path("s3://no-such-bucket/data/it.json"), impatient)
    assert "NoSuchBucket" in explain(read_json, to_path("s3://no-such-bucket/data/it.json"), impatient)


def fail_after_missing(path: AnyPath) -> None:
    """Raise an unrelated error while a missing file is handled."""
    try:
        read_json(path)
    except FileNotFoundError:
        json.loads('"a bug')


def test_missing_object_and_an_error_after_it_are_no_failure_of_the_store(object_store: ObjectStore) -> None:
    path = to_path(object_store.url("it.json"))
    with pytest.raises(FileNotFoundError) as caught, explain_os_errors("Training", path.parent):
        read_json(path)
    assert explain_store_error(caught.value) is None
    with pytest.raises(ShardGoneError), explain_os_errors("Training", path.parent), reading(path):
        path.read_bytes()
    with pytest.raises(ValueError, match="Unterminated"), explain_os_errors("Training", path.parent):
        fail_after_missing(path)

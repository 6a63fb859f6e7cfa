"""Exceptions of libraries about an object store become errors with a message for the user."""

import json
import re
from collections.abc import Callable

import pytest

from tasks.errors import MachineError
from tasks.paths import AnyPath, to_path
from tasks.runtime.os_errors import explain_os_errors, explain_store_error
from tasks.shards.shard import ShardGoneError, reading
from tasks.storage.files import publish_json, read_json
from tests.support.servers.object_store import ObjectStore, forget_stores

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
        r"The object store cannot be used \(.+\)\. Check its address, the credentials .* is kept\.", message
    )
    assert store.secret not in message
    return message


def test_store_that_does_not_answer(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = to_path(impatient.url("it.json"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_stores()
    for use in USES.values():
        assert "Could not connect" in explain(use, to_path(str(path)), impatient)


def test_wrong_credentials(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hid-den")
    forget_stores()
    for use in USES.values():
        message = explain(use, to_path(impatient.url("it.json")), impatient)
        assert "SignatureDoesNotMatch" in message or "403" in message
        assert "hid-den" not in message


def test_missing_credentials(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    forget_stores()
    for use in USES.values():
        assert "credentials" in explain(use, to_path(impatient.url("it.json")), impatient)


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

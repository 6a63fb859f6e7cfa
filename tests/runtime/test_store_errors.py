"""What the libraries of object stores raise where the store cannot be used, told in a sentence."""

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
    "looking": lambda path: path.exists(),
}


def told_of(use: Callable[[AnyPath], object], path: AnyPath, store: ObjectStore) -> str:
    """The sentence that a stage ends with; it holds no secret."""
    with pytest.raises(MachineError) as caught, explain_os_errors("Training", path.parent):
        use(path)
    assert caught.value.__cause__ is not None
    told = str(caught.value)
    assert re.fullmatch(
        r"The object store cannot be used \(.+\)\. Check its address, the credentials .* is kept\.", told
    )
    assert store.secret not in told
    return told


def test_a_store_that_is_not_there(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = to_path(impatient.url("it.json"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_stores()
    for use in USES.values():
        assert "Could not connect" in told_of(use, to_path(str(path)), impatient)


def test_credentials_that_the_store_refuses(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hid-den")
    forget_stores()
    for use in USES.values():
        told = told_of(use, to_path(impatient.url("it.json")), impatient)
        assert "SignatureDoesNotMatch" in told or "403" in told
        assert "hid-den" not in told


def test_no_credentials_at_all(impatient: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    forget_stores()
    for use in USES.values():
        assert "credentials" in told_of(use, to_path(impatient.url("it.json")), impatient)


def test_a_bucket_that_is_not_there(impatient: ObjectStore) -> None:
    assert "NoSuchBucket" in told_of(USES["writing"], to_path("s3://no-such-bucket/data/it.json"), impatient)
    assert "NoSuchBucket" in told_of(read_json, to_path("s3://no-such-bucket/data/it.json"), impatient)


def test_an_object_that_is_not_there_is_nothing_wrong_with_the_store(object_store: ObjectStore) -> None:
    path = to_path(object_store.url("it.json"))
    with pytest.raises(FileNotFoundError) as caught, explain_os_errors("Training", path.parent):
        read_json(path)
    assert explain_store_error(caught.value) is None
    with pytest.raises(ShardGoneError), explain_os_errors("Training", path.parent), reading(path):
        path.read_bytes()


def stumble(path: AnyPath) -> None:
    """Be wrong about something else because a file is not there."""
    try:
        read_json(path)
    except FileNotFoundError:
        json.loads('"a bug')


def test_what_went_wrong_because_something_was_missed_is_not_the_store_s(object_store: ObjectStore) -> None:
    path = to_path(object_store.url("it.json"))
    with pytest.raises(ValueError, match="Unterminated"), explain_os_errors("Training", path.parent):
        stumble(path)

"""A text becomes a path of this machine or of an object store, or is refused."""

import pickle
import sys
from pathlib import Path

import pytest

from tasks.errors import SettingError
from tasks.paths import is_remote, is_remote_text, to_path
from tasks.storage.files import publish_json, read_json
from tests.support.processes import Finished, run
from tests.support.servers.object_store import ObjectStore

OTHER_SCHEMES = ("http://host/data", "file:///data", "hdfs://host/data", "S3://bucket/data", "://data")


@pytest.mark.parametrize("text", ["data", "/var/data", "../data", "s3", "s3:/bucket/data", "a:b"])
def test_text_without_a_scheme_is_a_plain_path_of_this_machine(text: str) -> None:
    path = to_path(text)
    assert type(path) is type(Path())
    assert str(path) == text
    assert not is_remote(path)
    assert not is_remote_text(text)


@pytest.mark.parametrize(
    "text", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b", "s3://bucket/a@b:c/", "s3://b/[1]*?"]
)
def test_address_of_an_object_store_is_a_path_on_it(text: str) -> None:
    path = to_path(text)
    assert is_remote(path)
    assert is_remote_text(text)
    assert str(path).rstrip("/") == text.rstrip("/")
    assert str(path / "c.json") == f"{text.rstrip('/')}/c.json"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *((text, "is nowhere that files are kept: give a folder, or s3://<bucket>/<folder>") for text in OTHER_SCHEMES),
        *(
            (text, "names no bucket: give s3://<bucket>/<folder>")
            for text in ("s3://", "s3:///data", "gs://", "az:///")
        ),
    ],
)
def test_any_other_scheme_and_an_address_without_a_bucket_are_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        to_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://KEYNAME:hid-den@bucket/data",
        "s3://KEYNAME:hid-den/hid-den@bucket/data",
        "s3://KEYNAME@bucket/data",
        "s3://KEYNAME:hid-den",
        "s3://:hid-den@",
        "http://KEYNAME:hid-den@host/data",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        to_path(text)
    assert "hid-den" not in str(caught.value)
    assert "KEYNAME" not in str(caught.value)


@pytest.mark.parametrize(("scheme", "library"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_missing_library_is_reported_with_the_command_that_installs_it(scheme: str, library: str) -> None:
    pytest.importorskip("s3fs")
    script = (
        f"import sys; sys.modules[{library!r}] = None\nfrom tasks.paths import to_path\nto_path('{scheme}://b/data')"
    )
    errors = run([sys.executable, "-c", script]).errors
    assert f"pip install -e '.[{scheme}]'" in errors
    assert "SettingError" in errors


def test_data_root_of_this_machine_needs_no_library_of_object_stores(tmp_path: Path) -> None:
    script = """
import sys
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot
from tasks.storage.files import lock_folder, storage_at
from tasks.paths import to_path

root = DataRoot(to_path(sys.argv[1]))
storage_at(root.path).lock_shared(root.path)
with lock_folder(root.path / "store"):
    publish_json(root.path / "it.json", 1)
print(sorted({"upath", "fsspec", "s3fs", "botocore", "aiohttp"} & set(sys.modules)))
"""
    assert run([sys.executable, "-c", script, tmp_path]) == Finished(0, "[]\n", "")


def test_path_that_is_sent_to_another_process_holds_no_credentials(object_store: ObjectStore) -> None:
    path = to_path(object_store.url("it.json"))
    publish_json(path, 1)
    for shown in (pickle.dumps(path), repr(path), str(path), repr(vars(path.fs)) if is_remote(path) else ""):
        for secret in (object_store.secret, object_store.environment["AWS_ACCESS_KEY_ID"]):
            assert secret not in str(shown)
    assert read_json(pickle.loads(pickle.dumps(path))) == 1  # noqa: S301 (what it wrote itself)


FORKER = """
import gc, sys
from multiprocessing import get_context
from fsspec.asyn import sync
from tasks.paths import to_path

async def collect():
    gc.collect()

def work():
    global root
    knot = [root.fs]
    knot.append(knot)
    del knot, root
    own = to_path(sys.argv[1])
    own.write_bytes(b"child")
    # The library finds forked connections useless only while it works.
    sync(own.fs.loop, collect)
    assert own.read_bytes() == b"child"

gc.disable()
root = to_path(sys.argv[1])
root.write_bytes(b"parent")
child = get_context("fork").Process(target=work)
child.start()
child.join()
print(child.exitcode)
"""


def test_forked_process_leaves_the_connections_of_its_parent_alone_without_a_word(object_store: ObjectStore) -> None:
    assert run([sys.executable, "-c", FORKER, object_store.url("file")]) == Finished(0, "0\n", "")

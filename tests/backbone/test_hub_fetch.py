"""Presets by name: fetched through KerasHub from a server that stands for Hugging Face's, and kept in the data root."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tasks.backbone.hub_fetch import fetch_preset
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError, SettingError
from tasks.progress import NullProgress
from tests.backbone.hub_models import save_preset
from tests.support.processes import run
from tests.support.servers.http_server import Server, running

pytestmark = pytest.mark.slow

_PREPARE = """
import sys
from pathlib import Path
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.errors import PipelineError
from tests.support.progress import Tally
progress = Tally()
try:
    prepared = prepare_backbone(BackboneRequest(sys.argv[1]), Path(sys.argv[2]), progress)
    print(prepared.weights, prepared.backbone.weights_sha256, *prepared.backbone.widths, *progress.lines, sep="\\n")
except PipelineError as exc:
    print(exc)
"""


@contextmanager
def publishing(folder: Path, requests: list[str]) -> Iterator[str]:
    """Serve a folder as the repository `me/preset` of Hugging Face; give the server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            requests.append(self.path)
            file = folder / self.path.removeprefix("/me/preset/resolve/main/").rpartition("/")[2]
            found = file.is_file() and self.path.startswith("/me/preset/")
            body = file.read_bytes() if found else b"{}"
            self.send_response(200 if found else 404)
            if found:
                self.send_header("ETag", f'"{file.name}"')
                self.send_header("X-Repo-Commit", "0" * 40)
            else:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
            """Log nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}"


def prepare(name: str, folder: Path, endpoint: str) -> list[str]:
    """Prepare in a process of its own: the library reads its environment when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    done = run([sys.executable, "-c", _PREPARE, name, str(folder / "data")], environment)
    assert done.code == 0, done.errors
    return done.output.splitlines()


@pytest.mark.parametrize("sharded", [False, True])
def test_preset_of_hugging_face_is_fetched_once_and_kept(tmp_path: Path, sharded: bool) -> None:
    published, requests = save_preset("ViTBackbone", tmp_path / "published", sharded=sharded), list[str]()
    with publishing(published, requests) as address:
        kept, sha256, *widths, told = prepare("hub:hf://me/preset", tmp_path, address)
    assert Path(kept) == tmp_path / "data" / "preset"
    assert (sha256, widths) == (weights_sha256(Path(kept)), ["16", "16"])
    assert told == "Fetching the preset hf://me/preset through KerasHub"
    names = {path.name for path in published.iterdir()} - {"metadata.json"}
    assert {path.name for path in Path(kept).iterdir()} == names
    assert requests
    # Without a server.
    assert prepare("hub:hf://me/preset", tmp_path, "http://127.0.0.1:1")[:2] == [kept, sha256]


def test_preset_of_another_class_is_refused_before_its_weights_are_fetched(tmp_path: Path) -> None:
    published, requests = save_preset("ViTBackbone", tmp_path / "published"), list[str]()
    config = json.loads((published / "config.json").read_text())
    (published / "config.json").write_text(json.dumps({**config, "class_name": "GemmaBackbone"}))
    with publishing(published, requests) as address:
        (line,) = prepare("hub:hf://me/preset", tmp_path, address)
    assert line.startswith(
        "hf://me/preset/config.json names the class 'GemmaBackbone', which is no backbone for photos"
    )
    assert not any("weights" in path for path in requests)
    assert not (tmp_path / "data" / "preset").exists()


def test_server_that_is_away_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (line,) = prepare("hub:hf://me/preset", tmp_path, "http://127.0.0.1:1")
    assert line.startswith("The preset hf://me/preset could not be fetched (LocalEntryNotFoundError: ")
    assert line.endswith(".save_to_preset('folder'), and give --backbone hub:path/to/folder.")


def test_unknown_name_lists_similar_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no preset 'dinov2_smal', .* similar names are hub:dinov2_small"):
        fetch_preset("dinov2_smal", tmp_path, NullProgress())
    with pytest.raises(BackboneError, match=r"kaggle://x could not be fetched \(ValueError: Unexpected Kaggle preset"):
        fetch_preset("kaggle://x", tmp_path, NullProgress())


def test_catalog_s_entry_takes_the_folder_of_a_preset_as_weights(tmp_path: Path) -> None:
    folder = save_preset("DINOV2Backbone", tmp_path / "preset")
    request = BackboneRequest("dinov2_small", weights=str(folder), size=16)
    backbone = prepare_backbone(request, tmp_path / "data", NullProgress()).backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("dinov2_small", "keras_hub", 16)
    assert backbone.layers == ("cls", "patches")


@pytest.mark.parametrize("name", ["folder", "photo.jpg"])
def test_what_is_no_preset_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    with pytest.raises(BackboneError, match=f"{name} is no "):
        prepare_backbone(BackboneRequest(f"hub:{path}"), tmp_path / "data", NullProgress())

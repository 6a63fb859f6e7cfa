"""Weights of a data root on an object store: fetched from their server once for all machines, and once a process."""

from pathlib import Path

import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import build_model, load_network
from tasks.backbone.request import BackboneRequest
from tasks.backbone.task import PrepareBackbone
from tasks.backbone.weights import packaged_weights
from tasks.catalog import find_backbone
from tasks.errors import BackboneError, DownloadError
from tasks.keys import file_sha256
from tasks.paths import AnyPath, to_path
from tasks.run_context import RunContext
from tasks.runtime.tensorflow_import import tf
from tasks.storage.files import storage_at
from tests.backbone.inception import build_graph, zip_graph
from tests.backbone.onnx_models import small
from tests.support.servers.file_server import FileServer, serving
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore, other_machine
from tests.train.tiny import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_machine")]

LITE0 = packaged_weights(find_backbone("efficientnet_lite0"))


def prepared(far_root: AnyPath, request: BackboneRequest) -> Prepared:
    task = PrepareBackbone(context=RunContext(data_root=str(far_root)), request=request)
    assert not task.complete()
    task.run()
    assert task.complete()
    return task.prepared()


def test_weights_of_a_url_are_fetched_once_for_all_machines_and_stay_locked(
    far_root: AnyPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(FileServer(LITE0.read_bytes())) as server:
        url = server.base + "mine.pth"
        first = prepared(far_root, BackboneRequest("efficientnet_lite0", url))
        folder = far_root / "backbone" / "efficientnet_lite0"
        assert first.weights == folder / f"fetched-{server.sha256[:16]}" / "mine.pth"
        assert server.sha256 in (folder / "mine.pth.sha256").read_text()
        assert not list(storage_at(folder).staging_for(folder).glob("*.pth")), "it takes no room here"
        asked = len(server.requests)
        other_machine(monkeypatch, tmp_path / "other")
        again = prepared(far_root, BackboneRequest("efficientnet_lite0", url, size=64))
        assert (again.weights, len(server.requests)) == (first.weights, asked)
        # Where they are gone from the store, none but the trusted ones are let in.
        (folder / f".fetched-{server.sha256[:16]}.whole").unlink()
        server.content = b"another file"
        with pytest.raises(DownloadError, match="is not the expected file"):
            prepared(far_root, BackboneRequest("efficientnet_lite0", url, size=96))


def test_a_graph_is_unpacked_onto_the_store_and_fetched_once_a_process(
    far_root: AnyPath, tmp_path: Path, gateway: Gateway
) -> None:
    archive = zip_graph(tmp_path, build_graph(widths=0.02))
    found = prepared(to_path(str(far_root)), BackboneRequest("inception_2015", str(archive)))
    assert str(found.weights).startswith(f"{far_root}/backbone/inception_2015/")
    assert found.weights.name == "tensorflow_inception_graph.pb"
    with gateway.counting() as requests:
        networks = [load_network(found) for _ in range(2)]
    # The width was measured in this process.
    assert requests["GET"] == 0
    for load in networks:
        assert tf.function(load)(tf.zeros((1, 299, 299, 3))).shape == (1, found.backbone.width)


def test_models_and_weights_of_the_user_s_may_be_on_a_store(object_store: ObjectStore, tmp_path: Path) -> None:
    mine = to_path(object_store.url("mine"))
    (mine / "lite.pth").write_bytes(LITE0.read_bytes())
    (mine / "tiny.keras").write_bytes(tiny(tmp_path).weights.read_bytes())
    found = prepared(tmp_path / "data", BackboneRequest("efficientnet_lite0", f"{mine}/lite.pth"))
    assert (found.weights, found.backbone.weights_sha256) == (mine / "lite.pth", file_sha256(LITE0))
    request = BackboneRequest(f"{mine}/tiny.keras", scaling="symmetric")
    own = prepared(tmp_path / "data", request)
    assert (own.weights, own.backbone.name, own.backbone.width) == (mine / "tiny.keras", "tiny", 8)
    assert build_model(own).output_shape == (None, 8)
    (mine / "small.onnx").write_bytes(small(tmp_path / "small.onnx").read_bytes())
    graph = prepared(tmp_path / "data", BackboneRequest(f"{mine}/small.onnx", scaling="unit"))
    assert (graph.weights, graph.backbone.kind, graph.backbone.width) == (mine / "small.onnx", "onnx_file", 6)
    (mine / "tiny.keras").write_bytes(b"another one")
    assert not PrepareBackbone(context=RunContext(data_root=str(tmp_path / "data")), request=request).complete()
    with pytest.raises(BackboneError, match="has changed since the run began"):
        build_model(own)


def test_error_names_a_model_or_weights_that_the_store_lacks(object_store: ObjectStore, tmp_path: Path) -> None:
    nowhere = object_store.url("nowhere")
    with pytest.raises(BackboneError, match=rf"no model at {nowhere}\. Give --backbone"):
        prepared(tmp_path, BackboneRequest(nowhere))
    with pytest.raises(BackboneError, match=rf"no weights at {nowhere}/mine\.pth\. Give --weights"):
        prepared(tmp_path, BackboneRequest("efficientnet_lite0", f"{nowhere}/mine.pth"))

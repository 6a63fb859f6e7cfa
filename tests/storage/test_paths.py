"""No name from outside becomes a path outside the data root, nor a file of ours, nor another one's folder."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.backbone.request import BackboneRequest
from tasks.backbone.weights import fetched_name
from tasks.catalog import find_backbone, find_dataset
from tasks.errors import ModelError, PipelineError, StoreError
from tasks.predict.models import find_model
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import publish_json
from tasks.storage.layout import DataRoot

ROOT = DataRoot(Path("/data"))
#: Folders of datasets, backbones and fetched files.
FOLDERS: tuple[Callable[[str], Path], ...] = (
    *(ROOT.downloads, ROOT.snapshots, ROOT.runs, ROOT.decisions, ROOT.champion, ROOT.below),
)
#: Names that mean something to a file system, a URL, a shell or to us.
ODD = (
    *("", ".", "..", "...", "../..", "..%2f..", "%2e%2e", "%00", "\0", "/", "//", "\\", "..\\..", "~", "~root", "-rf"),
    *("manifest.json", "2026-11-24.json", "x.part", ".json", "x.sha256", "imagenet", "0123456789abcdef", "manifests"),
    *("x" * 300, "花" * 100, "a\nb", "\x1b[2J", "CON", "a:b", "weights.pth.sha256", ".lock", "rejected", "cells"),
)
NAMES = st.one_of(st.sampled_from(ODD), st.text(max_size=40), st.text("./\\%:~-_ab0", max_size=12))


@st.composite
def urls(draw: st.DrawFn) -> str:
    """A URL whose path ends in such a name, with and without a query."""
    path = "/".join(draw(st.lists(NAMES, max_size=3)))
    return f"http://host/{path}{draw(st.sampled_from(['', '?', '?a=/../b', '#/../c', '/', '?x.pth']))}"


def place(name: str) -> None:
    """Assert that a name is one part of a path, short enough, and that what it names lies below the data root."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)
    assert len(name) <= 120
    for folder in FOLDERS:
        path = PurePosixPath(folder(name))
        assert ".." not in path.parts
        assert path.is_relative_to(ROOT.path)
        assert len(path.parts) == len(folder("x").parts)


@given(st.one_of(urls(), NAMES))
def test_dataset_has_folders_of_its_own_below_the_data_root_or_is_refused(text: str) -> None:
    try:
        dataset = find_dataset(text, 15)
    except PipelineError:
        return
    place(dataset.name)


@pytest.mark.parametrize(
    "name", ["..foo", "a b", "-rf", ".hidden", "a\nb", "manifest.json", "花", "'; rm x", "x" * 255]
)
def test_dataset_of_a_folder_has_folders_of_its_own_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    for above in ("one", "other"):
        (tmp_path / above / name).mkdir(parents=True)
        place(find_dataset(str(tmp_path / above / name), 15).name)
    assert find_dataset(str(tmp_path / "one" / name), 15).name != find_dataset(str(tmp_path / "other" / name), 15).name


@pytest.mark.parametrize(
    "text", ["/", ".", "..", "../..", "//", "/..", "https://host/..", "https://host/%2e%2e/", "https://host"]
)
def test_dataset_without_a_name_of_its_own_gets_one(text: str) -> None:
    place(find_dataset(text, 15).name)


@given(urls(), urls())
def test_two_datasets_share_no_folder(one: str, other: str) -> None:
    try:
        names = {find_dataset(url, 15).name for url in (one, other)}
    except PipelineError:
        return
    assert len(names) == len({one, other})


def test_sample_and_a_folder_that_is_called_like_it_share_no_folder(tmp_path: Path) -> None:
    names = {find_dataset("sample", 400).name, find_dataset("sample", 40).name, find_dataset("flower_photos", 40).name}
    for name in tuple(names):
        (tmp_path / name).mkdir()
        names.add(find_dataset(str(tmp_path / name), 15).name)
    assert len(names) == 6


@given(st.one_of(NAMES, NAMES.map("keras:{}".format), NAMES.map("keras:../{}".format), urls()))
def test_backbone_has_a_folder_of_its_own_below_the_data_root(text: str) -> None:
    place(BackboneRequest(text).slug)
    if text != "x":
        assert BackboneRequest(text).slug != BackboneRequest("x").slug


@given(NAMES)
def test_unknown_backbone_is_reported(text: str) -> None:
    with pytest.raises(PipelineError, match="There is no backbone"):
        find_backbone(f"no {text}")


@given(urls())
def test_fetched_weights_take_no_reserved_name(url: str) -> None:
    name = fetched_name(url)
    place(name)
    assert not name.endswith((".json", ".sha256", ".part", ".lock"))
    assert not re.fullmatch(r"imagenet|[0-9a-f]{16}", name)


@pytest.mark.parametrize("name", ["b0.weights.h5", "lite.pth", "inception_dec_2015.zip", "Net-1_2.keras"])
def test_fetched_weights_keep_the_plain_name_that_they_have(name: str) -> None:
    assert fetched_name(f"https://host/a/{name}?token=a/b") == name


@given(NAMES)
def test_data_root_gives_a_path_below_it_for_any_name_or_refuses_it(name: str) -> None:
    keyed = (ROOT.snapshot, ROOT.decode, ROOT.rejected, ROOT.bottleneck, ROOT.train, ROOT.export, ROOT.evaluate)
    for path_of in (*FOLDERS, *keyed, ROOT.report):
        try:
            path = path_of(name)
        except StoreError:
            assert path_of not in {ROOT.snapshot, ROOT.champion} or not {"/", "\\", "\0"}.isdisjoint(name)
            continue
        assert path.is_relative_to(ROOT.path)
        assert ".." not in path.parts
        assert len(path.parts) == len(path_of("x").parts) or not name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.one_of(NAMES, NAMES.map("../{}".format)))
def test_text_that_names_no_model_is_reported(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match="is not the key of a head"):
        find_model(text, DataRoot(tmp_path / "data"))


def test_champion_or_record_that_names_a_model_elsewhere_is_an_error(tmp_path: Path) -> None:
    """A file of the data root that was changed leads nowhere either."""
    root, key = DataRoot(tmp_path / "data"), "0123456789abcdef"
    (tmp_path / "elsewhere" / key).mkdir(parents=True)
    root.train(key).mkdir(parents=True)
    publish_json(root.champion("mine"), {"champion": f"../../../elsewhere/{key}"})
    record = root.runs("mine") / "2026-11-24-0123abcd.json"
    publish_json(record, {"schema_version": SCHEMA_VERSION, "head": f"../../../elsewhere/{key}"})
    for text in ("mine", str(record), f"../../elsewhere/{key}"):
        with pytest.raises(ModelError, match="is not the key of a head"):
            find_model(text, root)
    assert find_model(key, root) == root.train(key)

"""Hostile and damaged presets of KerasHub: each is refused by name, and nothing of it is run, followed or built."""

import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # h5py ships no types
import numpy as np
import pytest

from tasks.backbone.hub_networks import find_layers, fit_size
from tasks.backbone.hub_presets import read_preset
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError, SettingError
from tasks.progress import NullProgress
from tests.backbone.hub_models import save_preset
from tests.backbone.test_keras_containers import WAYS, virtual

pytestmark = pytest.mark.slow

Change = Callable[[Path], object]
#: Weights of each kind of network that the changes below name.
KERNEL = "layers/vi_t_patching_and_embedding/patch_embedding/vars/0"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_preset("ViTBackbone", tmp_path_factory.mktemp("good") / "preset")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_preset("SigLIPBackbone", tmp_path_factory.mktemp("pair") / "preset")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_preset("ViTBackbone", tmp_path_factory.mktemp("sharded") / "preset", sharded=True)


def load(folder: Path) -> None:
    """Do all that a run does with a preset."""
    prepare_backbone(BackboneRequest(f"hub:{folder}"), folder.parent / "data", NullProgress())


def edit(folder: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    read = json.loads((folder / file).read_text())
    change(read)
    (folder / file).write_text(json.dumps(read))


def top(**changes: Any) -> Change:
    """Change the object that a configuration is."""
    return partial(edit, file="config.json", change=lambda config: config.update(changes))


def setting(**changes: Any) -> Change:
    return partial(edit, file="config.json", change=lambda config: config["config"].update(changes))


def encoder(**changes: Any) -> Change:
    return partial(edit, file="config.json", change=lambda config: config["config"]["vision_encoder"].update(changes))


def converter(**changes: Any) -> Change:
    return partial(edit, file="image_converter.json", change=lambda config: config["config"].update(changes))


def named(module: str, name: str, registered: str | None = None, config: Any = None) -> dict[str, Any]:
    return {"module": module, "class_name": name, "registered_name": registered, "config": config or {}}


def content(file: str, data: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(data)


def cut(folder: Path) -> None:
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-4000])


def weights(change: Callable[[Any], object]) -> Change:
    def apply(folder: Path) -> None:
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)

    return apply


def replaced(values: Any) -> Change:
    def change(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = values

    return weights(change)


def way(change: Callable[[Any, Path], None]) -> Change:
    """Let a kernel be elsewhere, as `test_keras_containers` does."""

    def apply(folder: Path) -> None:
        with h5py.File(folder / "model.weights.h5", "a") as file:
            file["layers/conv2d/vars/1"] = np.zeros(4)
            change(file, folder / "elsewhere.h5")

    return apply


def link(folder: Path) -> None:
    (folder / "config.json").rename(folder.parent / "outside.json")
    (folder / "config.json").symlink_to(folder.parent / "outside.json")


def link_to_folder(folder: Path) -> None:
    (folder / "assets").symlink_to("/")


def pipe(folder: Path) -> None:
    (folder / "model.weights.h5").unlink()
    os.mkfifo(folder / "model.weights.h5")


def many_files(folder: Path) -> None:
    for number in range(1001):
        (folder / f"{number}.txt").touch()


def index(**files: Any) -> Change:
    return partial(edit, file="model.weights.json", change=lambda read: read.update(weight_map=files))


def shard_gone(folder: Path) -> None:
    (folder / "model_00001.weights.h5").unlink()


#: Of one class: by the name of a way, the change and a part of the message.
HOSTILE: dict[str, tuple[Change, str]] = {
    # Classes that are not on the list.
    "class of texts": (top(class_name="LlamaBackbone"), "'LlamaBackbone', which is no backbone for photos"),
    "class of layers": (top(class_name="Lambda", module="keras.layers"), "'Lambda', which is no backbone"),
    "class that is a list": (top(class_name=["ViTBackbone"]), "which is no backbone for photos"),
    "function": (top(class_name="function", module="builtins", config="eval"), "'function', which is no backbone"),
    "other registered name": (top(registered_name="keras_hub>GemmaBackbone"), "names 'keras_hub>GemmaBackbone'"),
    "no registered name": (top(registered_name=None), r"names 'keras_hub\.src\.models\.vit\.vit_backbone': 'ViT"),
    "other module": (top(module="os"), "names 'keras_hub>ViTBackbone': 'ViTBackbone'"),
    "module that fetches": (top(module="keras_hub.src.utils.preset_utils"), "names 'keras_hub>ViTBackbone'"),
    "module with dots": (top(module="keras_hub.src.models..os.x"), "names 'keras_hub>ViTBackbone'"),
    "lambda inside": (setting(name=named("builtins", "__lambda__")), "names 'builtins': '__lambda__'"),
    "layer inside": (setting(data_format=named("keras.layers", "Lambda")), r"names 'keras\.layers': 'Lambda'"),
    "function inside": (setting(name=named("builtins", "function", "exec")), "names 'exec': 'function'"),
    "tensor inside": (setting(name=named("", "__tensor__")), "names '': '__tensor__'"),
    "object in a list": (setting(image_shape=[named("os", "system")]), "names 'os': 'system'"),
    "module without class": (setting(name={"module": "os", "config": {}}), "names 'os': None"),
    "object without settings": (top(config="x"), "ViTBackbone has no settings"),
    "quantised policy": (setting(dtype=named("keras", "DTypePolicyMap")), "names 'keras': 'DTypePolicyMap'"),
    "int8 policy": (setting(dtype=named("keras", "DTypePolicy", None, {"name": "int8"})), "computes in 'int8'"),
    "int8": (setting(dtype="int8"), "computes in 'int8'"),
    # Numbers that no network has, and settings of none.
    "a billion blocks": (setting(num_layers=10**9), "gives num_layers the value 1,000,000,000"),
    "a billion numbers": (setting(hidden_dim=10**9), "gives hidden_dim the value 1,000,000,000"),
    "more numbers than weights": (setting(hidden_dim=2**16), "describes a network of .* numbers, but its weights hold"),
    "infinity": (setting(mlp_dim=float("inf")), "gives mlp_dim the value inf"),
    "no number": (setting(mlp_dim=float("nan")), "gives mlp_dim the value nan"),
    "negative width": (setting(hidden_dim=-16), "cannot build the ViTBackbone"),
    "no heads": (setting(num_heads=0), "cannot build the ViTBackbone"),
    "patches of nothing": (setting(patch_size=0), "has patches of 0 pixels"),
    "patches of text": (setting(patch_size="4"), "has patches of '4' pixels"),
    "huge photos": (setting(image_shape=[2**14, 2**14, 3]), "have 16,777,216 patches"),
    "size of text": (setting(image_shape=["16", "16", 3]), "does not say the size"),
    "no size": (setting(image_shape=None), "does not say the size"),
    "missing setting": (partial(edit, file="config.json", change=lambda read: read["config"].pop("mlp_dim")), "cannot"),
    "name with a slash": (setting(name="../x"), "cannot build|are not those of"),
    "channels first": (setting(data_format="channels_first"), "has its channels first"),
    # Files of JSON that are none.
    "no config": (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
    "no JSON": (content("config.json", b"{"), "config.json is damaged: it is no JSON"),
    "other encoding": (content("config.json", b"\xff\xfe{}"), "config.json is damaged"),
    "a list": (content("config.json", b"[1]"), "config.json is damaged: it is no JSON object"),
    "deep JSON": (content("config.json", b"[" * 500_000), "config.json is damaged"),
    "deep objects": (content("config.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "config.json is damaged"),
    "huge JSON": (content("config.json", b'{"a": "' + b"x" * 2_000_000 + b'"}'), "config.json is damaged"),
    "pointer of Git LFS": (content("config.json", LFS), "fetch the file with `git lfs pull`"),
    "format of transformers": (content("config.json", b'{"model_type": "dinov2"}'), "the format of the library transf"),
    # Files that are none.
    "link to a file": (link, r"config\.json is a link or no plain file"),
    "link to a folder": (link_to_folder, "assets is a link or no plain file"),
    "pipe": (pipe, r"model\.weights\.h5 is a link or no plain file"),
    "many files": (many_files, "holds more than 1,000 files"),
    # Weights.
    "no weights": (lambda folder: (folder / "model.weights.h5").unlink(), "has no weights"),
    "empty weights": (content("model.weights.h5", b""), "are missing or damaged"),
    "text as weights": (content("model.weights.h5", b"hello" * 1000), "are missing or damaged"),
    "weights of Git LFS": (content("model.weights.h5", LFS), "fetch the file with `git lfs pull`"),
    "cut weights": (cut, "are missing or damaged"),
    "another shape": (replaced(np.zeros((4, 4, 3, 8), np.float32)), "are not those of its ViTBackbone"),
    "one kernel less": (weights(lambda file: file.pop(KERNEL)), "are not those of its ViTBackbone"),
    "one layer less": (weights(lambda file: file.pop("layers/vi_t_encoder")), "describes a network|are not those of"),
    "text as a kernel": (replaced(np.full((4, 4, 3, 16), b"x")), "are not those of its ViTBackbone"),
    "records as a kernel": (
        replaced(np.zeros((4, 4, 3, 16), [("a", "f4"), ("b", "f4")])),
        "are not those of its ViTBackbone",
    ),
    "kernel of no numbers": (
        replaced(np.full((4, 4, 3, 16), np.nan, np.float32)),
        "where one vector of finite numbers",
    ),
    **{change.__name__: (way(change), message) for change, message in WAYS if change is not virtual},
    "virtual": (way(virtual), "takes '/layers/conv2d/vars/0' from another place or file"),
    # The conversion of photos.
    "scale of nothing": (converter(scale=0), "a scale of 0"),
    "scale that is no number": (converter(scale=float("nan")), r"image_converter\.json is damaged"),
    "huge scale": (converter(scale=1e30), "a factor or shift above 1,000"),
    "scale of text": (converter(scale="x"), r"image_converter\.json is damaged"),
    "four channels": (converter(offset=[0, 0, 0, 0]), r"image_converter\.json is damaged"),
    "negative variance": (converter(mean=[0, 0, 0], variance=[-1, 1, 1]), r"image_converter\.json is damaged"),
    "no square": (converter(image_size=[16, 32]), "16 x 32 pixels, where a square"),
    "huge square": (converter(image_size=[10**9, 10**9]), "where a square of 1 to 4,096 is needed"),
    "other interpolation": (converter(interpolation="area"), "the interpolation 'area'"),
    "conversion without settings": (content("image_converter.json", b"{}"), r"image_converter\.json is damaged"),
    "conversion that is a list": (content("image_converter.json", b"[]"), r"image_converter\.json is damaged"),
}
#: Of a class with an encoder of photos and one of texts.
HOSTILE_PAIRS: dict[str, tuple[Change, str]] = {
    "no encoder": (
        partial(edit, file="config.json", change=lambda read: read["config"].pop("vision_encoder")),
        "has no",
    ),
    "encoder of text": (setting(vision_encoder="x"), "has no vision_encoder"),
    "encoder of another class": (encoder(class_name="CausalLM"), "'CausalLM'. A preset is built from classes"),
    "encoder of another module": (encoder(module="subprocess"), "A preset is built from classes"),
    "encoder with code": (encoder(config={"name": named("marshal", "__lambda__")}), "names 'marshal': '__lambda__'"),
    "instructions to build": (encoder(build_config={"x": 1}, config=None), "SigLIPVisionEncoder has no settings"),
}
HOSTILE_SHARDS: dict[str, tuple[Change, str]] = {
    "shard outside": (index(a="../model_00000.weights.h5"), r"names '\.\./model_00000\.weights\.h5' as a file of"),
    "absolute shard": (index(a=["/etc/passwd"]), "names '/etc/passwd' as a file of weights"),
    "shard of another name": (index(a="x.h5"), "names 'x.h5' as a file of weights"),
    "no shard": (index(), "names 'nothing' as a file of weights"),
    "shard gone": (shard_gone, r"model_00001\.weights\.h5 are missing or damaged"),
    "index that is a list": (content("model.weights.json", b"[]"), r"model\.weights\.json is damaged"),
    "shard that is damaged": (content("model_00000.weights.h5", b"x" * 3000), "are missing or damaged"),
}


def refused(preset: Path, tmp_path: Path, change: Change, message: str) -> None:
    folder = tmp_path / "preset"
    shutil.copytree(preset, folder)
    change(folder)
    with pytest.raises((BackboneError, SettingError), match=message):
        load(folder)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_preset_is_refused_by_name(good: Path, tmp_path: Path, name: str) -> None:
    refused(good, tmp_path, *HOSTILE[name])


@pytest.mark.parametrize("name", HOSTILE_PAIRS)
def test_hostile_encoder_is_refused_by_name(pair: Path, tmp_path: Path, name: str) -> None:
    refused(pair, tmp_path, *HOSTILE_PAIRS[name])


@pytest.mark.parametrize("name", HOSTILE_SHARDS)
def test_hostile_shard_is_refused_by_name(sharded: Path, tmp_path: Path, name: str) -> None:
    refused(sharded, tmp_path, *HOSTILE_SHARDS[name])


def test_the_good_presets_are_let_in(good: Path, pair: Path, sharded: Path) -> None:
    for preset in (good, pair, sharded):
        load(preset)


@pytest.mark.parametrize("file", ["config.json", "image_converter.json", "model.weights.h5"])
def test_file_with_changed_bytes_loads_or_is_refused(good: Path, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "preset"
    shutil.copytree(good, folder)
    whole = (good / file).read_bytes()
    for seed in range(100):
        source = random.Random(seed)  # noqa: S311 (no secret)
        changed = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            # The first bytes of an HDF5 file describe the rest.
            changed[source.randrange(min(len(changed), 6000))] = source.randrange(256)
        (folder / file).write_bytes(changed)
        with suppress(BackboneError, SettingError):
            read_preset(folder)


def test_unknown_extra_entries_of_an_object_are_not_passed_on(good: Path, tmp_path: Path) -> None:
    """Keras would follow `build_config` and `compile_config`."""
    folder = tmp_path / "preset"
    shutil.copytree(good, folder)
    top(compile_config={"optimizer": "x"}, build_config={"input_shape": 1}, assets=["x"])(folder)
    preset = read_preset(folder)
    assert not {"compile_config", "build_config", "assets", "dtype"} & set(preset.settings)
    assert find_layers(preset, fit_size(preset, 0)) == ("cls", "patches")

"""Presets of KerasHub: folders with a configuration, weights, and the scaling of pixels.

All files are read as data, before KerasHub sees any of them: a preset names classes that Keras would look up and build.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tasks.backbone.hub_conversion import PixelConversion, read_conversion, read_json_file, remedy_of
from tasks.backbone.keras_containers import check_hdf5
from tasks.errors import BackboneError

CONFIG = "config.json"
WEIGHTS, SHARDED_WEIGHTS = "model.weights.h5", "model.weights.json"
#: A file of sharded weights, as Keras names it.
_SHARD = re.compile(r"model_\d{5}\.weights\.h5", re.ASCII)

_Settings = Mapping[str, Any]


class Family(NamedTuple):
    """A class of KerasHub's backbones."""

    #: Tokens before those of the patches, by the settings: the CLS token, registers. None for feature maps.
    special_tokens: Callable[[_Settings], int] | None = None
    fixed_size: bool = False  #: Whether its weights fit one size of photos only.
    vision: str = ""  #: Setting with the encoder of photos, of a class for photos and texts.


#: The backbones that give bottlenecks, by the names of their classes.
FAMILIES: Mapping[str, Family] = {
    "CLIPBackbone": Family(lambda _: 1, fixed_size=True, vision="vision_encoder"),
    "DINOV2Backbone": Family(lambda settings: 1 + int(settings.get("num_register_tokens", 0))),
    "DINOV3Backbone": Family(lambda settings: 1 + int(settings.get("num_register_tokens", 4))),
    "DeiTBackbone": Family(lambda _: 2, fixed_size=True),
    "DenseNetBackbone": Family(),
    "EfficientNetBackbone": Family(),
    "MobileNetBackbone": Family(),
    "ResNetBackbone": Family(),
    "SigLIPBackbone": Family(lambda _: 0, fixed_size=True, vision="vision_encoder"),
    "VGGBackbone": Family(),
    "ViTBackbone": Family(lambda settings: int(settings.get("use_class_token", True)), fixed_size=True),
    "XceptionBackbone": Family(),
}
#: Classes that a configuration may name: KerasHub's, and Keras' own.
_CLASSES = {*FAMILIES, "CLIPTextEncoder", "CLIPVisionEncoder", "SigLIPTextEncoder", "SigLIPVisionEncoder"}
_POLICY = "DTypePolicy"
_MODULE = re.compile(r"keras_hub\.src\.models\.[a-z0-9_]+\.[a-z0-9_]+", re.ASCII)
_FLOATS = {"float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16"}
#: Largest number of a setting, and of blocks; those of the presets in use are below a third of it.
_MAX_NUMBER, _MAX_BLOCKS = 2**20, 512
_BLOCKS = re.compile("layers|depth|blocks|repeats")
_MAX_ENTRIES = 1000


class Preset(NamedTuple):
    """A preset whose files have been checked."""

    folder: Path
    family: str  #: Name of its class; a key of `FAMILIES`.
    settings: _Settings  #: Arguments of the class, with serialised encoders among them.
    conversion: PixelConversion | None  #: None where the preset does not say how it scales pixels.
    weights: Path  #: The file that Keras loads.
    numbers: int  #: Numbers in all files of weights.

    @property
    def vision(self) -> _Settings:
        """Settings of the encoder of photos."""
        nested = FAMILIES[self.family].vision
        settings: _Settings = self.settings[nested]["config"] if nested else self.settings
        return settings


def read_preset(folder: Path) -> Preset:
    """Read and check a preset.

    Raises:
        BackboneError: It is no preset of a backbone for photos, or is damaged, or names what is not in `FAMILIES`.
    """
    _check_entries(folder)
    family, settings = read_config(folder)
    weights, files = _weights(folder)
    numbers = sum(_count_numbers(file) for file in files)
    return Preset(folder, family, settings, read_conversion(folder), weights, numbers)


def read_config(folder: Path) -> tuple[str, _Settings]:
    """Read the class of a preset and its settings.

    Raises:
        BackboneError: See `read_preset`.
    """
    file = folder / CONFIG
    config = read_json_file(file)
    if "class_name" not in config and "model_type" in config:
        raise BackboneError(
            f"{folder} has the format of the library transformers, not that of KerasHub. Give a preset that KerasHub "
            "saved, with save_to_preset(); those of its authors are at hf://keras/ and kaggle://keras/."
        )
    family = str(config.get("class_name"))
    if family not in FAMILIES:
        raise BackboneError(
            f"{file} names the class {family!a}, which is no backbone for photos that is known here. Known are "
            f"{', '.join(FAMILIES)}."
        )
    checked = _checked(file, config, "")
    settings = dict(checked["config"])
    _check_settings(file, family, settings)
    return family, settings


def shard_names(index: Path) -> list[str]:
    """Read the names of the files of sharded weights, sorted.

    Raises:
        BackboneError: The index is damaged, or names another file.
    """
    names = read_json_file(index).get("weight_map")
    found = list(names.values()) if isinstance(names, dict) else []
    flat = {str(name) for each in found for name in (each if isinstance(each, list) else [each])}
    others = sorted(name for name in flat if not _SHARD.fullmatch(name))
    if others or not flat:
        raise BackboneError(
            f"{index} names {(others or ['nothing'])[0]!a} as a file of weights. Only files beside it are read, "
            "named as Keras names them. Save the preset again."
        )
    return sorted(flat)


def _check_entries(folder: Path) -> None:
    """Refuse links, and what is neither a file nor a folder."""
    if not folder.is_dir():
        raise BackboneError(f"{folder} is no folder. Give the folder of a preset, with {CONFIG} in it.")
    if not os.path.lexists(folder / CONFIG):
        raise BackboneError(f"{folder} is no preset of KerasHub: it has no {CONFIG}. Give the folder that has it.")
    for number, path in enumerate(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BackboneError(
                f"{path} is a link or no plain file. A preset is read from plain files only: copy it with "
                f"cp -rL, and give the copy."
            )
        if number >= _MAX_ENTRIES:
            raise BackboneError(f"{folder} holds more than {_MAX_ENTRIES:,} files, so it is no preset. Correct it.")


def _checked(file: Path, value: Any, key: str) -> Any:
    """Copy a value of a configuration without types of numbers; refuse unknown classes and absurd numbers by name."""
    if isinstance(value, dict):
        if "class_name" in value or "module" in value or "registered_name" in value:
            return _checked_object(file, value)
        return {str(name): _checked(file, each, str(name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_checked(file, each, key) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        most = _MAX_BLOCKS if _BLOCKS.search(key) else _MAX_NUMBER
        if not -most <= value <= most:
            raise BackboneError(f"{file} gives {key} the value {value:,}, which no network has. Correct the preset.")
    return value


def _checked_object(file: Path, value: dict[str, Any]) -> dict[str, Any]:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    is_policy = (name, module, registered) == (_POLICY, "keras", None)
    is_known = isinstance(name, str) and name in _CLASSES and registered == f"keras_hub>{name}"
    if not is_policy and not (is_known and _MODULE.fullmatch(str(module))):
        raise BackboneError(
            f"{file} names {registered or module!a}: {name!a}. A preset is built from classes that are known here to "
            "make a backbone for photos, and from no others."
        )
    config = value.get("config")
    if not isinstance(config, dict):
        raise BackboneError(f"{file} is damaged: {name} has no settings. Save the preset again.")
    if is_policy and str(config.get("name")) not in _FLOATS:
        raise BackboneError(f"{file} computes in {config.get('name')!a}. Save the preset in float32.")
    # The policy of numbers is that of the run: the preset's own is checked and left out.
    checked = {key: _checked(file, each, key) for key, each in config.items()}
    if isinstance(policy := checked.pop("dtype", None), str) and policy not in _FLOATS:
        raise BackboneError(f"{file} computes in {policy!a}. Save the preset in float32.")
    return {"module": module, "class_name": name, "registered_name": registered, "config": checked}


def _check_settings(file: Path, family: str, settings: dict[str, Any]) -> None:
    nested = FAMILIES[family].vision
    encoder = settings.get(nested, {}) if nested else {}
    if nested and (not isinstance(encoder, dict) or "config" not in encoder):
        raise BackboneError(f"{file} is damaged: {family} has no {nested}. Save the preset again.")
    for own in (settings, encoder.get("config", {})):
        if own.get("data_format") not in {None, "channels_last"}:
            raise BackboneError(f"{file} has its channels first. Save the preset with data_format='channels_last'.")


def _weights(folder: Path) -> tuple[Path, list[Path]]:
    single, index = folder / WEIGHTS, folder / SHARDED_WEIGHTS
    if single.is_file():
        return single, [single]
    if index.is_file():
        return index, [folder / name for name in shard_names(index)]
    raise BackboneError(f"{folder} has no weights: neither {WEIGHTS} nor {SHARDED_WEIGHTS}. Save the preset again.")


def _count_numbers(file: Path) -> int:
    import h5py  # type: ignore[import-untyped]  # h5py ships no types

    try:
        check_hdf5(file, file)
        found = list[Any]()
        with h5py.File(file, "r") as opened:
            opened.visititems(lambda _, thing: found.append(thing.size) if isinstance(thing, h5py.Dataset) else None)
    except (OSError, RuntimeError, TypeError, ValueError) as exc:
        raise BackboneError(f"The weights {file} are missing or damaged. {remedy_of(file)}") from exc
    return sum(int(size or 0) for size in found)

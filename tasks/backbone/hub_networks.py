"""The networks of KerasHub's presets as backbones.

KerasHub builds them from settings that `hub_presets` has checked; its own loader of presets is not used.
"""

import importlib
import math
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone
from tasks.backbone.hub_presets import FAMILIES, Preset, read_preset
from tasks.backbone.layers import choose_earlier_layers, layer_averages, stable_names
from tasks.backbone.model_file_errors import UNREADABLE, first_line, strictly
from tasks.backbone.scaling import OWN, SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.standard_streams import capture_stderr
from tasks.runtime.tensorflow_import import keras

#: Layers of a transformer: its CLS token after the last norm, or the pooled output of a class that has no such token;
#: and the mean of the tokens of the patches after that norm.
CLS, POOLED, PATCHES = "cls", "pooled", "patches"
#: Size of a preset that leaves it open: that of ImageNet's usual crop.
OPEN_SIZE = 224
#: Patches of a photo; attention takes memory by their square.
_MAX_PATCHES = 4096
#: Most numbers of a network for each one in its file of weights; interpolated embeddings, for one, are not in it.
_MAX_RATIO = 2


def keras_hub() -> Any:
    """Import KerasHub, which takes seconds.

    Raises:
        SettingError: It is not installed, or does not work here.
    """
    try:
        with capture_stderr():
            return importlib.import_module("keras_hub")
    except ImportError as exc:
        raise SettingError(
            f"A backbone hub:<preset> needs KerasHub, which cannot be imported ({first_line(exc)}). "
            "Run: pip install -e '.[hub]'"
        ) from exc


def fit_size(preset: Preset, size: int) -> int:
    """Choose the size of photos: the given one, or that of the preset if it is 0.

    Raises:
        SettingError: The preset takes another size only.
    """
    vision = preset.vision
    shape = vision.get("image_shape") or vision.get("input_shape") or [None]
    trained = shape[0] if isinstance(shape, list) else None
    if FAMILIES[preset.family].fixed_size:
        if not isinstance(trained, int):
            raise BackboneError(f"{preset.folder} does not say the size of its photos. Save the preset again.")
        if size not in {0, trained}:
            raise SettingError(f"--image-size is {size}, {preset.folder} takes {trained} pixels only. Leave it out.")
        size = trained
    found = size or (preset.conversion.size if preset.conversion else None) or trained or OPEN_SIZE
    _check_patches(preset, found)
    return int(found)


def _check_patches(preset: Preset, size: int) -> None:
    patch = preset.vision.get("patch_size", 0)
    patch = patch[0] if isinstance(patch, list) and patch else patch
    if FAMILIES[preset.family].special_tokens is None:
        return
    if not isinstance(patch, int) or patch < 1:
        raise BackboneError(f"{preset.folder} has patches of {patch!a} pixels. Save the preset again.")
    if size % patch:
        near = max(1, round(size / patch)) * patch
        raise SettingError(
            f"Photos of {size} pixels do not divide into the patches of {preset.folder}, of {patch} pixels. Give "
            f"--image-size {near}, or another multiple of {patch}."
        )
    if (size // patch) ** 2 > _MAX_PATCHES:
        raise SettingError(
            f"Photos of {size} pixels have {(size // patch) ** 2:,} patches of {patch} pixels, more than the "
            f"{_MAX_PATCHES:,} that a network can take here. Give a smaller --image-size."
        )


def find_layers(preset: Preset, size: int) -> tuple[str, ...]:
    """Name the layers of a preset's bottleneck, the last one first, without its weights and without their memory.

    Raises:
        SettingError: The network cannot take photos of this size.
        BackboneError: Its settings make no network, or one with more numbers than the files of weights hold.
    """
    family, hub = FAMILIES[preset.family], keras_hub()
    try:
        # Its variables are never made, so that a network of absurd size takes no memory.
        with keras.StatelessScope(initialize_variables=False):
            whole = _built(preset, size, hub)
            _check_numbers(preset, whole)
            if family.special_tokens is None:
                width = int(whole.output.shape[-1])
                return ("", *(name for name, _ in choose_earlier_layers(whole, width)))
    finally:
        # Keras would make them later.
        keras.utils.clear_session(free_memory=False)
    if preset.family == "SigLIPBackbone":
        return POOLED, PATCHES
    return (CLS, PATCHES) if family.special_tokens(preset.vision) else (PATCHES,)


def _check_numbers(preset: Preset, whole: Any) -> None:
    expected = sum(math.prod(variable.shape) for variable in whole.variables)
    if expected > _MAX_RATIO * preset.numbers:
        raise BackboneError(
            f"{preset.folder} describes a network of {expected:,} numbers, but its weights hold {preset.numbers:,}. "
            "Save the preset again."
        )


def build(backbone: Backbone, folder: Path, *, pretrained: bool) -> "keras.Model":
    """Build the network with its scaling of pixels; see `TrainableKind.build_layers`.

    Raises:
        BackboneError: The preset is damaged, or its weights are of another network.
    """
    preset = read_preset(folder)
    whole = _built(preset, backbone.size, keras_hub())
    if pretrained:
        try:
            with strictly():
                whole.load_weights(preset.weights)
        except UNREADABLE as exc:
            raise BackboneError(
                f"The weights of {folder} are damaged, or are not those of its {preset.family} ({first_line(exc)}). "
                "Save or download the preset again."
            ) from exc
    whole.trainable = True
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    return layer_averages(pixels, _scaled(pixels, preset, backbone), _of_layers(whole, preset, backbone.layers))


def _built(preset: Preset, size: int, hub: Any) -> Any:
    """Build KerasHub's backbone with random weights, in the policy of numbers of this moment."""
    settings, family = dict(preset.settings), FAMILIES[preset.family]
    if not family.fixed_size:
        settings["input_shape" if preset.family == "EfficientNetBackbone" else "image_shape"] = (size, size, 3)
    try:
        return getattr(hub.models, preset.family).from_config(settings)
    except (*UNREADABLE, ArithmeticError, MemoryError) as exc:
        raise BackboneError(
            f"KerasHub {hub.__version__} cannot build the {preset.family} of {preset.folder} for photos of {size} "
            f"pixels ({first_line(exc)}). Give another --image-size, or save the preset again."
        ) from exc


def _scaled(pixels: Any, preset: Preset, backbone: Backbone) -> Any:
    if backbone.scaling != OWN or preset.conversion is None:
        return SCALINGS[backbone.scaling].apply(pixels)
    scale, offset = preset.conversion.scale, preset.conversion.offset
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preset_scaling")(pixels)


def _of_layers(whole: Any, preset: Preset, layers: tuple[str, ...]) -> "keras.Model":
    family = FAMILIES[preset.family]
    vision = getattr(whole, family.vision) if family.vision else whole
    (photos,) = keras.tree.flatten(vision.input)
    if family.special_tokens is None:
        named = stable_names(vision)
        outputs = [named[name].output if name else vision.output for name in layers]
    else:
        tokens = vision.post_layer_norm.output if preset.family == "SigLIPBackbone" else vision.output
        special = family.special_tokens(preset.vision)
        outputs = [_tokens(name, vision.output, tokens, special) for name in layers]
    return keras.Model(photos, outputs, name=vision.name)


def _tokens(layer: str, output: Any, tokens: Any, special: int) -> Any:
    """Return a layer, [N, D], of a transformer's tokens, [N, T, D], of which the first ones are special."""
    if layer == POOLED:
        return output
    if layer == CLS:
        others = int(tokens.shape[1]) - 1
        return keras.layers.Flatten(name=CLS)(keras.layers.Cropping1D((0, others), name="cls_token")(tokens))
    patches = keras.layers.Cropping1D((special, 0), name="patch_tokens")(tokens) if special else tokens
    return keras.layers.GlobalAveragePooling1D(name=PATCHES)(patches)

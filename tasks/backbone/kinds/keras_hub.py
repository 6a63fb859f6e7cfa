"""The backbones of KerasHub: a preset by its name, which is fetched, or the folder of one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds.base import TrainableKind
from tasks.backbone.request import AUTO, HUB_PREFIX, LAST, BackboneRequest
from tasks.backbone.weights import weights_sha256
from tasks.catalog import find_backbone, given_path
from tasks.errors import BackboneError, SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local


class KerasHubKind(TrainableKind):
    """A backbone of KerasHub."""

    name = "keras_hub"
    prefix = HUB_PREFIX
    takes_scaling = True
    bfloat16_on_gpu = True

    def prepare(self, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
        from tasks.backbone.load import measure_width

        name, size = _named(request)
        place = _folder(request.weights or name, folder, progress)
        return measure_width(Prepared(_describe(replace(request, size=size), place), place))

    def build_layers(self, backbone: Backbone, weights: Path, *, pretrained: bool) -> Any:
        from tasks.backbone.hub_networks import build

        return build(backbone, weights, pretrained=pretrained)


def _named(request: BackboneRequest) -> tuple[str, int]:
    """Return the preset or folder that a request names, and the size of photos, 0 where it leaves that open."""
    if request.backbone.startswith(HUB_PREFIX):
        return request.backbone.removeprefix(HUB_PREFIX), request.size
    entry = find_backbone(request.backbone)
    return entry.model, request.size or entry.size


def _folder(name: str, folder: AnyPath, progress: Progress) -> AnyPath:
    """Return the folder of a preset, of the user or in the data root."""
    path = given_path(name)
    if path is not None:
        return path
    from tasks.backbone.hub_fetch import fetch_preset

    return fetch_preset(name, folder, progress)


def _describe(request: BackboneRequest, place: AnyPath) -> Backbone:
    from tasks.backbone.hub_networks import find_layers, fit_size
    from tasks.backbone.hub_presets import read_preset
    from tasks.backbone.prepare import check_scaling
    from tasks.backbone.scaling import OWN

    try:
        here = local(place)
    except FileNotFoundError as exc:
        raise BackboneError(f"There is no preset at {place}. Give --backbone hub: and the address of one.") from exc
    preset = read_preset(here)
    conversion = preset.conversion
    if conversion is not None and request.scaling != AUTO:
        raise SettingError(f"--scaling does not go with {place}: that preset has its own scaling. Leave it out.")
    size = fit_size(preset, request.size)
    found = find_layers(preset, size)
    layers = found[:1] if request.layers == LAST else found
    backbone = Backbone(
        name=request.backbone,
        kind=KerasHubKind.name,
        model=preset.family,
        weights_sha256=weights_sha256(here),
        size=size,
        layers=layers,
        widths=(0,) * len(layers),
        scaling=check_scaling(request, here) if conversion is None else OWN,
    )
    return backbone if conversion is None else replace(backbone, resampling=conversion.resampling, crop=conversion.crop)

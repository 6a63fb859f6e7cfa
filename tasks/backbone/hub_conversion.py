"""The conversion of pixels that a preset of KerasHub describes, and its JSON files."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tasks.decode.settings import Crop, Resampling
from tasks.errors import BackboneError
from tasks.file_types import LFS_POINTER, LONGEST_HEAD, other_type

CONVERTER, PREPROCESSOR = "image_converter.json", "preprocessor.json"
#: Height and width of the largest photos, in pixels, as of `--image-size`.
_MAX_SIZE = 4096
#: Bytes of the largest JSON file that is read.
_MAX_JSON = 1_000_000
_RESAMPLINGS: Mapping[str, Resampling] = {"bilinear": "bilinear", "bicubic": "bicubic", "lanczos3": "lanczos"}
#: Largest factor and shift of a pixel; those of the models in use are below 3.
_MAX_SCALE = 1e3


class PixelConversion(NamedTuple):
    """How a preset converts photos: resized, then `x * scale + offset` with x from 0 to 255, in RGB."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    size: int | None  #: Height and width in pixels; None where it leaves them open.
    resampling: Resampling
    crop: Crop


def read_conversion(folder: Path) -> PixelConversion | None:
    """Read how the preset in a folder converts photos; None where it does not say.

    Raises:
        BackboneError: A file is damaged, or describes a conversion that is not done here.
    """
    file, settings = folder / CONVERTER, None
    if file.is_file():
        settings = read_json_file(file).get("config")
    elif (file := folder / PREPROCESSOR).is_file():
        inner = (read_json_file(file).get("config") or {}).get("image_converter")
        settings = inner.get("config") if isinstance(inner, dict) else None
        if settings is None:
            return None
    else:
        return None
    try:
        return _conversion(settings)
    except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError) as exc:
        raise BackboneError(f"{file} is damaged: it does not say how to convert photos ({exc}).") from exc


def _conversion(settings: Any) -> PixelConversion:
    scale, offset = settings.get("scale"), settings.get("offset")
    scale, offset = _channels(1.0 if scale is None else scale), _channels(0.0 if offset is None else offset)
    if "mean" in settings and "variance" in settings:  # presets of KerasHub's first versions
        deviation = [math.sqrt(each) for each in _channels(settings["variance"])]
        offset = _channels([-mean / each for mean, each in zip(_channels(settings["mean"]), deviation, strict=True)])
        scale = _channels([factor / each for factor, each in zip(scale, deviation, strict=True)])
    if not all(scale):
        raise ValueError("a scale of 0")
    given = settings.get("image_size") or [settings.get("height"), settings.get("width")]
    height, width = given
    if height != width or not (height is None or (isinstance(height, int) and 1 <= height <= _MAX_SIZE)):
        raise ValueError(f"photos of {height!a} x {width!a} pixels, where a square of 1 to {_MAX_SIZE:,} is needed")
    interpolation = settings.get("interpolation", "bilinear")
    if interpolation not in _RESAMPLINGS:
        raise ValueError(f"the interpolation {interpolation!a}")
    stretched = not (settings.get("crop_to_aspect_ratio", True) or settings.get("pad_to_aspect_ratio", False))
    return PixelConversion(scale, offset, height, _RESAMPLINGS[interpolation], "stretch" if stretched else "centre")


def _channels(value: Any) -> tuple[float, float, float]:
    """Return one number for each of red, green and blue."""
    red, green, blue = (float(each) for each in (value if isinstance(value, list) else [value] * 3))
    if not all(abs(each) <= _MAX_SCALE for each in (red, green, blue)):
        raise ValueError(f"a factor or shift above {_MAX_SCALE:,.0f}")
    return red, green, blue


def read_json_file(file: Path) -> dict[str, Any]:
    """Read a JSON file of a preset, an object of at most a megabyte.

    Raises:
        BackboneError: It is missing, damaged or larger.
    """
    try:
        size = file.stat().st_size
        read = json.loads(file.read_bytes()) if size <= _MAX_JSON else None
    except FileNotFoundError as exc:
        raise BackboneError(f"{file.parent} is no preset of KerasHub: it has no {file.name}.") from exc
    except (OSError, RecursionError, ValueError) as exc:
        raise BackboneError(f"{file} is damaged: it is no JSON. {remedy_of(file)}") from exc
    if not isinstance(read, dict):
        raise BackboneError(f"{file} is damaged: it is no JSON object of a preset. Save the preset again.")
    return read


def remedy_of(file: Path) -> str:
    """Say what to do about a damaged file of a preset."""
    if file.is_file():
        with file.open("rb") as opened:
            if other_type(opened.read(LONGEST_HEAD)) is LFS_POINTER:
                return "It is a pointer of Git LFS: fetch the file with `git lfs pull`."
    return "Save or download the preset again."

"""Converts photos of every mode to RGB in the colour space sRGB.

`resamplable` is called before resizing and `to_srgb` after it, where there are fewer pixels to convert.
"""

import io
from functools import lru_cache

from PIL import Image, ImageCms

from tasks.decode.depth import Depth, find_white

_WHITE = (255, 255, 255, 255)
_INTEGER_16 = ("I;16", "I;16L", "I;16B")
_RESAMPLABLE = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I", "F", *_INTEGER_16)
# For modes that cannot be averaged (indices, bits, modes that Pillow cannot resize): the nearest mode that can.
_NEAREST = {"1": "L", "P": "RGB", "La": "LA"}

Range = tuple[float, float]


def resamplable(image: Image.Image) -> Image.Image:
    """Convert an image without loss to a mode whose pixels can be averaged.

    A transparent colour or palette entry becomes an alpha channel.
    """
    if image.format == "PPM" and image.mode == "I":  # Pillow holds 16 bits in 32
        return image.convert("I;16")
    if image.mode in _RESAMPLABLE and ("transparency" not in image.info or is_16_bits(image)):
        return image
    if image.has_transparency_data and image.mode != "La":
        return image.convert("RGBA")
    return image.convert(_NEAREST.get(image.mode, "RGB"))


def is_16_bits(image: Image.Image) -> bool:
    """Whether an image is grey with unsigned values of 16 bits."""
    return image.mode in _INTEGER_16


def value_range(image: Image.Image, depth: Depth) -> Range:
    """Find the values that stand for black and white. Formats of more than 8 bits fix no range: their values are read.

    Returns:
        Black and white: 0 and 65535 or less for 16 bits, see `find_white`; 0 and 1 for floats within this range; the
        smallest and the largest finite value for other floats and for integers of 32 bits; else 0 and 255.
    """
    if image.mode not in ("I", "F", *_INTEGER_16):
        return 0.0, 255.0
    import numpy as np

    values = np.asarray(image)
    if is_16_bits(image):
        return 0.0, float(find_white(values, depth))
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (0.0, 1.0) if image.mode == "F" and low >= 0.0 and high <= 1.0 else (low, high)


def to_srgb(image: Image.Image, black_white: Range, profile: object) -> Image.Image:
    """Convert a result of `resamplable`, resized or not, to RGB in sRGB, with alpha composited onto white.

    The profile is the photo's ICC profile, as bytes. Values of other types, damaged profiles, and profiles for other
    channels are ignored, as in browsers.
    """
    if image.mode in ("LA", "RGBA"):
        opaque = to_srgb(image.convert(image.mode[:-1]), black_white, profile).convert("RGBA")
        opaque.putalpha(image.getchannel("A"))
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), opaque).convert("RGB")
    if image.mode in ("I", "F", *_INTEGER_16):
        image = _scaled(image, black_white)
    transform = _transform(profile if isinstance(profile, bytes) else b"", image.mode)
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return transform.apply(image)


def has_other_colours(image: Image.Image) -> bool:
    """Whether the profile or the mode of an opened image makes `to_srgb` convert its colours."""
    profile = image.info.get("icc_profile")
    return _transform(profile if isinstance(profile, bytes) else b"", image.mode) is not None


def _scaled(image: Image.Image, black_white: Range) -> Image.Image:
    """Scale values to 8 bits, rounded to the nearest; NaN becomes black."""
    low, high = black_white
    import numpy as np

    scale = 255.0 / (high - low) if high > low else 0.0
    values = np.nan_to_num((np.asarray(image).astype(np.float64) - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return Image.fromarray(np.rint(values.clip(0.0, 255.0)).astype(np.uint8))


# A dataset has few profiles, and building a transform takes longer than applying it.
@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform from a profile to sRGB; None if it is not needed or the profile is unusable."""
    if not profile and mode != "LAB":
        return None
    try:
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB") if mode == "LAB" else io.BytesIO(profile))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None

"""From every mode that a photo can have to RGB in the colour space sRGB.

`resamplable` comes before resizing and `to_srgb` after it, so that all that can be done on the few pixels of the result
is done there.
"""

import io
from functools import lru_cache

from PIL import Image, ImageCms

from tasks.decode.depth import Depth, find_white

_WHITE = (255, 255, 255, 255)
_INTEGER_16 = ("I;16", "I;16L", "I;16B")
_RESAMPLABLE = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I", "F", *_INTEGER_16)
# Where values cannot be averaged (indices, bits, what Pillow cannot resize): the nearest mode in which they can.
_NEAREST = {"1": "L", "P": "RGB", "La": "LA"}

Range = tuple[float, float]


def resamplable(image: Image.Image) -> Image.Image:
    """Bring an image to a mode whose pixels can be averaged, without loss.

    Transparency that stands beside the pixels (a transparent colour or palette entry) becomes an alpha channel.
    """
    if image.format == "PPM" and image.mode == "I":  # Pillow has 16 bits in 32
        return image.convert("I;16")
    if image.mode in _RESAMPLABLE and ("transparency" not in image.info or is_16_bits(image)):
        return image
    if image.has_transparency_data and image.mode != "La":
        return image.convert("RGBA")
    return image.convert(_NEAREST.get(image.mode, "RGB"))


def is_16_bits(image: Image.Image) -> bool:
    """Whether an image is grey, of 16 bits without a sign."""
    return image.mode in _INTEGER_16


def value_range(image: Image.Image, depth: Depth | None = None) -> Range:
    """Find the values that stand for black and white.

    Args:
        image: Any image; the values of those with more than 8 bits are looked at, since their format fixes no range.
        depth: What the file says of values of 16 bits.

    Returns:
        Black and white: 0 and 65535 for 16 bits, or less, see `find_white`; 0 and 1 for floats that stay within; for
        other floats, and for integers of 32 bits, the smallest and the largest finite value; 0 and 255 for all else.
    """
    if image.mode not in ("I", "F", *_INTEGER_16):
        return 0.0, 255.0
    import numpy as np  # noqa: PLC0415 (few photos need it, and each start of processes would wait)

    values = np.asarray(image)
    if is_16_bits(image):
        return 0.0, float(find_white(values, depth or Depth()))
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (0.0, 1.0) if image.mode == "F" and low >= 0.0 and high <= 1.0 else (low, high)


def to_srgb(image: Image.Image, black_white: Range, profile: object) -> Image.Image:
    """Convert an image to RGB in sRGB, alpha laid onto white.

    Args:
        image: What `resamplable` gave, or a resized copy of it.
        black_white: What `value_range` gave.
        profile: The ICC profile that the photo embeds, as bytes. All else that Pillow finds in its place, a profile
            that is damaged, and one for other channels than the photo's are passed over, as browsers do.
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


def _scaled(image: Image.Image, black_white: Range) -> Image.Image:
    """Scale values to 8 bits, rounding to the nearest; what is not a number becomes black."""
    low, high = black_white
    import numpy as np  # noqa: PLC0415 (as above)

    scale = 255.0 / (high - low) if high > low else 0.0
    values = np.nan_to_num((np.asarray(image).astype(np.float64) - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return Image.fromarray(np.rint(values.clip(0.0, 255.0)).astype(np.uint8))


# A dataset has few profiles, and to build a transform takes longer than to apply it.
@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from a photo's colour space to sRGB; None where there is none, or none is needed."""
    if mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None

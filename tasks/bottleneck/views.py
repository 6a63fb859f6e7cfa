"""Views: the variants of a photo that the backbone embeds.

View 0 is the plain photo, view 1 its mirror image; distorted views follow. The distortions are those of TensorFlow's
retrain.py (https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py,
`add_input_distortions`). That program drew new ones in every step; here a seed and the photo's sha256 determine each
view, so that it is always the same and can be cached.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.bottleneck.settings import Distortion

Pixels = npt.NDArray[np.uint8]


def draw_views(keys: list[str], pixels: Pixels, plain: int, distortion: Distortion | None = None) -> list[Pixels]:
    """Draw all views of N photos.

    Args:
        keys: The photos' sha256, N; only distorted views need them.
        pixels: The pictures, uint8 [N, S, S, 3].
        plain: Plain views of each photo: 1 is the photo alone, 2 adds its mirror image.
        distortion: How to draw the distorted views that follow; None draws none.

    Returns:
        For each view, uint8 [N, S, S, 3].
    """
    views = [pixels, _mirrored(pixels)] if plain == 2 else [pixels]
    if distortion is not None:
        views += [
            np.stack([distort(*photo, view, distortion) for photo in zip(pixels, keys, strict=True)])
            for view in range(plain, plain + distortion.views)
        ]
    return views


def _mirrored(pixels: Pixels) -> Pixels:
    """Mirror pictures, uint8 [N, S, S, 3]: pixel by pixel, which takes half as long as byte by byte."""
    whole = np.ascontiguousarray(pixels).view("V3")
    mirrored: Pixels = np.ascontiguousarray(whole[:, :, ::-1]).view(np.uint8)
    return mirrored


def distort(pixels: Pixels, key: str, view: int, distortion: Distortion) -> Pixels:
    """Draw one distorted view of a photo.

    The picture is enlarged by 1 + `random_crop` / 100 times a factor between 1 and 1 + `random_scale` / 100, and a
    square of its former size is cut from it at a random place; both are one step here, which resamples only the square.

    Args:
        pixels: The picture, uint8 [S, S, 3].
        key: The photo's sha256.
        view: The view's number.
        distortion: How to draw it.

    Returns:
        uint8 [S, S, 3].
    """
    random = np.random.default_rng((distortion.seed, int(key, 16), view))
    # All numbers are drawn even if some are not used, so that enabling one distortion does not change the others.
    scale, left, top, mirrored, brightness = random.uniform(size=5)
    enlarged = (1 + distortion.random_crop / 100) * (1 + scale * distortion.random_scale / 100)
    size = len(pixels)
    side = size / enlarged
    left, top = left * (size - side), top * (size - side)
    picture = Image.fromarray(pixels)
    if enlarged > 1:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    view_pixels = np.asarray(picture)
    if distortion.flip_left_right and mirrored < 0.5:
        view_pixels = view_pixels[:, ::-1]
    if distortion.random_brightness:
        factor = 1 + (2 * brightness - 1) * distortion.random_brightness / 100
        view_pixels = np.clip(np.rint(view_pixels * factor), 0, 255).astype(np.uint8)
    return view_pixels

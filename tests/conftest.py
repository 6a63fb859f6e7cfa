"""What every stage's tests share."""

import os
from pathlib import Path

import pytest

FLOWER_PHOTOS = Path(__file__).parent.parent.parent / "shared" / "flower_photos"


@pytest.fixture(scope="session")
def flower_photos() -> Path:
    """The folder of 2,000 real photos that lies beside a developer's checkout; where it is missing, the test skips."""
    if not FLOWER_PHOTOS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the photos at {FLOWER_PHOTOS}")
        pytest.skip(f"no photos at {FLOWER_PHOTOS}")
    return FLOWER_PHOTOS

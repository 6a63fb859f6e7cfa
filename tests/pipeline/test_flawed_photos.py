"""A night with photos that other programs show although something is wrong with their files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.first_stages import small_backbone


def add(folder: Path) -> None:
    """Spoil one drawn photo of each label in a way of its own, and add photos of formats that were not read once."""
    first, second, third = sorted(folder.iterdir())
    spoilt = min(first.iterdir())
    spoilt.write_bytes(spoilt.read_bytes()[:-2])
    with Image.open(min(second.iterdir())) as photo:
        buffer = io.BytesIO()
        photo.save(buffer, "PNG", dpi=(72, 72))
        photo.save(second / "pixmap.jpg", "PPM")
        photo.rotate(90).save(third / "tiles.jpg", "JPEG2000")
    data = buffer.getvalue()
    end = data.index(b"pHYs") + 13
    (second / "checksum.png").write_bytes(data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :])
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(third / "sensor.png")


def test_photos_with_flaws_are_used_and_the_terminal_and_the_report_say_so(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(18))
    add(project.photos)
    done = project.retrain_forked(date="2025-01-01", max_rejected="0", **small_backbone(tmp_path), **LITTLE)
    assert done.code == 0, done.errors
    sentence = (
        "Decoded although something is wrong with the file: 3 photos (bad_checksum 1, low_values 1, no_end_marker 1), "
        "such as "
    )
    (line,) = (line for line in (done.output + done.errors).splitlines() if line.startswith(sentence))
    assert all(name in line for name in ("000.jpg", "checksum.png", "sensor.png"))
    record = project.record("2025-01-01")
    assert record["rejected"] == 0
    assert (project.root / record["report"]).read_text().count(sentence) == 1

"""The test photos of an export: read, converted, or left out."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.export.layers import PhotoDecoder
from tasks.export.photos import ReferencePhotos, convert_to_png, read_files, read_reference
from tasks.runtime.tensorflow_import import tf
from tasks.shards.schemas import PREDICTIONS
from tasks.storage.remote_listing import StoreUnreachableError
from tasks.synthetic.composition import draw_photo
from tests.bottleneck.pictures import encode

LABELS = ("blue", "caf\u00e9")
WEBP = b"RIFF....WEBP"


def known(contents: Sequence[bytes]) -> ReferencePhotos:
    """Photos with these contents, named 0.jpg, 1.jpg and so on."""
    count = len(contents)
    keys = [hashlib.sha256(content).hexdigest() for content in contents]
    probabilities = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    return ReferencePhotos(
        keys, [f"{number}.jpg" for number in range(count)], np.zeros(count, np.int64), probabilities, LABELS
    )


def write(contents: Sequence[bytes], folder: Path) -> None:
    for number, content in enumerate(contents):
        (folder / f"{number}.jpg").write_bytes(content)


def test_files_that_are_gone_or_changed_are_left_out_and_those_of_other_formats_unless_they_can_be_converted(
    tmp_path: Path,
) -> None:
    contents = [encode(np.full((2, 2, 3), number, np.uint8)) for number in range(3)] + [WEBP, b"GIF89a", b""]
    write(contents, tmp_path)
    (tmp_path / "0.jpg").unlink()
    (tmp_path / "1.jpg").write_bytes(contents[2])
    photos, files, _, left_out, converted = read_files(known(contents), tmp_path)
    assert (photos.paths, files) == (["2.jpg"], [contents[2]])
    assert photos.probabilities.tolist() == [[4, 5]]
    assert (left_out, converted) == ({"gone": 1, "changed": 1, "neither JPEG nor PNG": 3}, 0)
    asked: list[str] = []

    def convert(photos: ReferencePhotos) -> list[bytes | None]:
        asked.extend(photos.paths)
        return [b"a PNG", None, b"another"]

    photos, files, kinds, left_out, converted = read_files(known(contents), tmp_path, convert)
    assert asked == ["3.jpg", "4.jpg", "5.jpg"]
    assert photos.paths == ["2.jpg", "3.jpg", "5.jpg"]
    assert files == [contents[2], b"a PNG", b"another"]
    assert list(kinds) == list(photos.keys)
    assert list(kinds.values()) == ["PNG RGB", "unreadable", "unreadable"]
    assert (left_out["neither JPEG nor PNG"], converted) == (1, 2)


def test_photos_of_an_object_store_that_cannot_be_had_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [encode(np.full((2, 2, 3), number, np.uint8)) for number in range(3)]
    write(contents, tmp_path)

    def refuse(path: Path, limit: int) -> bytes:
        if path.name == "1.jpg":
            raise StoreUnreachableError("s3://photos", "it does not answer")
        return path.read_bytes()[:limit]

    monkeypatch.setattr("tasks.snapshot.parquet.row_reader.read_photo", refuse)
    photos, _, _, left_out, _ = read_files(known(contents), tmp_path)
    assert photos.paths == ["0.jpg"]
    assert left_out == {"out of reach": 2}


def test_test_photos_with_the_smallest_keys_are_read_and_labels_in_any_form_of_unicode_are_known(
    tmp_path: Path,
) -> None:
    rows = [
        {
            "sha256": f"{number:064x}",
            "path": f"red/{number}.jpg",
            # An earlier version kept labels as their folders' names were written.
            "label": ("blue", "cafe\u0301")[number % 2],
            "predicted": "blue",
            "probabilities": [0.25, number / 10],
            "split": "test" if number > 2 else "train",
        }
        for number in reversed(range(8))
    ]
    pq.write_table(pa.Table.from_pylist(rows, PREDICTIONS), tmp_path / "predictions.parquet")
    photos = read_reference(tmp_path, LABELS, limit=3)
    assert photos.paths == ["red/3.jpg", "red/4.jpg", "red/5.jpg"]
    assert photos.truth.tolist() == [1, 0, 1]
    np.testing.assert_allclose(photos.probabilities, [[0.25, 0.3], [0.25, 0.4], [0.25, 0.5]])


def test_predictions_that_are_gone_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"predictions\.parquet cannot be read .* run again"):
        read_reference(tmp_path, LABELS)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "BMP"])
def test_photos_of_other_formats_are_converted_to_png(kind: str, tmp_path: Path) -> None:
    """The export decodes the larger PNG to the picture that the pipeline decodes."""
    decode = DecodeSettings(40, 56, "bicubic", "png")
    buffer = io.BytesIO()
    Image.open(io.BytesIO(draw_photo(3))).save(buffer, kind)
    write([buffer.getvalue()], tmp_path)
    (png,) = convert_to_png(known([buffer.getvalue()]), tmp_path, decode, 10**8)
    assert png is not None
    pixels = PhotoDecoder(**vars(decode)).call(tf.constant([png]))[0].numpy()
    differences = np.abs(pixels - read_pixels(decode_photo(buffer.getvalue(), decode).image))
    assert differences.mean() < 1

"""The folder of the label folders in an extracted archive, whatever folders wrap them."""

from pathlib import Path

import pytest

from tasks.paths import AnyPath
from tasks.snapshot.label_folders import photos_folder

#: Files of an archive, and the folder of its label folders.
WRAPPINGS: list[tuple[list[str], str]] = [
    (["flower_photos/daisy/1.jpg", "flower_photos/roses/2.jpg", "flower_photos/LICENSE.txt"], "flower_photos"),
    (["daisy/1.jpg", "roses/2.jpg"], ""),
    (["a/b/daisy/1.jpg", "a/b/roses/2.jpg"], "a/b"),
    (["daisy/1.jpg"], ""),
    (["flower_photos/daisy/1.jpg"], "flower_photos"),
    (["daisy/1.jpg", "daisy/more/2.jpg"], ""),
    (["flower_photos/daisy/1.jpg", "__MACOSX/flower_photos/x", ".hidden/x"], "flower_photos"),
    (["flower_photos/daisy/1.jpg", "flower_photos/._cover.jpg"], "flower_photos"),
    (["flower_photos/daisy/1.jpg", "@eaDir/daisy/1.jpg", "flower_photos/@eaDir/1.jpg"], "flower_photos"),
    (["daisy/1.jpg", "empty.txt"], ""),
    ([], ""),
    # Whatever this machine's list of MIME types knows.
    *((["daisy/more/1.txt", f"daisy/1{suffix}"], "") for suffix in (".JPEG", ".webp", ".heic", ".avif", ".tif")),
]


# One case is enough for an object store.
@pytest.mark.parametrize(
    ("root", "files", "expected"), [*(("tmp_path", *case) for case in WRAPPINGS), ("far_root", *WRAPPINGS[2])]
)
def test_label_folders_are_found(root: str, files: list[str], expected: str, request: pytest.FixtureRequest) -> None:
    folder: AnyPath = request.getfixturevalue(root)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")
    assert str(photos_folder(folder)) == f"{folder}/{expected}".rstrip("/")


@pytest.mark.parametrize(
    ("files", "gives_labels", "expected"),
    [
        (["a/metadata.csv", "a/images/1.jpg"], True, "a"),
        (["metadata.csv", "images/rose/1.jpg", "images/tulip/2.jpg"], True, ""),
        (["metadata.csv", "images/rose/1.jpg", "images/tulip/2.jpg"], False, "images"),
        (["a/metadata.csv", "a/1.jpg"], True, "a"),
    ],
)
def test_a_table_that_gives_labels_is_beside_the_photos(
    tmp_path: Path, files: list[str], gives_labels: bool, expected: str
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    assert photos_folder(tmp_path, lambda *_: gives_labels) == tmp_path / expected

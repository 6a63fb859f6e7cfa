"""A server of one file, and where that file is to be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.download.fetching import CONTENT
from tests.download.server import FileServer, serving


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT, etag='"one"')) as files:
        yield files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "download" / "photos.tgz"

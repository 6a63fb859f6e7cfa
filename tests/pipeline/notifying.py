"""Helpers of the tests of notifications and e-mails."""

import re
from pathlib import Path

from tests.pipeline.command import Finished
from tests.support.repository import REPOSITORY
from tests.support.servers.webhook import SECRET


def assert_secret(done: Finished, *folders: Path) -> None:
    """Check that neither the output of a command nor any file below these folders holds the secret."""
    assert SECRET not in done.output + done.errors
    for folder in folders:
        found = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert found == []


def readme_blocks(language: str) -> list[str]:
    """The blocks of a language in the README of `pipeline`."""
    text = (REPOSITORY / "pipeline" / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

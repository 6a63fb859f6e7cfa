"""Fixtures of the tests of decoding."""

import pytest


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start one process for the few photos of a test; several are for the tests of the pool and of the corpus."""
    monkeypatch.setattr("tasks.decode.photos.available_cores", lambda: 1)

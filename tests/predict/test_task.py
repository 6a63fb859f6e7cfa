"""The task that predicts a folder; tests/pipeline/test_predict.py runs it by luigi's command."""

from pathlib import Path

import pytest

from tasks.predict.task import PredictFolder
from tests.predict.trained import Trained, draw


def test_photo_that_could_not_be_read_is_tried_again(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        draw(tmp_path / "in" / f"{number}.jpg", number)
    photos = tmp_path / "in"
    (photos / "broken.jpg").write_text("no photo")
    # As on a file system that comes back as it was.
    monkeypatch.setattr("tasks.snapshot.walk.file_version", lambda status: f"{status.st_mtime_ns}")

    def job(run_id: str) -> PredictFolder:
        return PredictFolder(
            data_root=str(trained.root.path), model=str(trained.folder), folder=str(photos), run_id=run_id
        )

    first = job("first")
    assert not first.complete()  # it has listed the photos now
    (photos / "0.jpg").rename(tmp_path / "0.jpg")
    first.run()
    assert first.manifest().details["reasons"] == {"unknown_format": 1, "vanished": 1}
    assert first.complete()
    (tmp_path / "0.jpg").rename(photos / "0.jpg")  # its size and mtime are those of before
    second = job("second")
    assert not second.complete()
    second.run()
    assert second.manifest().details["reasons"] == {"unknown_format": 1}
    assert second.manifest_path() == first.manifest_path()
    assert job("third").complete()

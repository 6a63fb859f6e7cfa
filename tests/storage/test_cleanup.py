"""After the next run nothing is left of what a killed one was writing."""

import fcntl
import os
from pathlib import Path

from tasks.storage.cleanup import sweep_root
from tasks.storage.files import lock_folder, publishing, storage_at
from tasks.storage.layout import DataRoot


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half of")
    return path


def test_temporary_files_and_folders_go_wherever_they_are(root: DataRoot[Path]) -> None:
    left = [
        make(root.path / place / ".tmp-part-0123456789ab")
        for place in ("", "snapshot", "runs/flowers", "champion", "decode/cafe/rejected", "train/cafe", "download/a")
    ]
    left.append(make(root.path / "train" / "cafe" / ".tmp-export-0123456789ab" / "saved_model" / "saved_model.pb"))
    kept = make(root.path / "decode" / "cafe" / "part-0.parquet")
    sweep_root(root)
    assert [path for path in left if path.exists()] == []
    assert not (root.path / "train" / "cafe" / ".tmp-export-0123456789ab").exists()
    assert kept.exists()


def test_files_being_written_and_foreign_files_stay(root: DataRoot[Path]) -> None:
    member = make(root.path / "download" / "flowers" / "cafe" / "daisy" / ".tmp-photo.jpg-0123456789ab")
    notes = make(root.path / ".tmp-notes")
    with publishing(root.path / "snapshot" / "cafe.parquet") as temporary:
        sweep_root(root)
        assert all(path.exists() for path in (temporary, member, notes))


def test_half_a_checkpoint_goes_and_whole_ones_stay(root: DataRoot[Path]) -> None:
    folder = root.path / "train" / "cafe" / "checkpoints"
    half = [make(folder / "head-5_temp" / "part-00000-of-00001"), make(folder / "checkpoint.tmp0a1b")]
    whole = [make(folder / name) for name in ("checkpoint", "head-5.index", "head-5.data-00000-of-00001")]
    with lock_folder(folder.parent):
        sweep_root(root)
        assert all(path.exists() for path in (*half, *whole)), "somebody trains there"
    sweep_root(root)
    assert [path.exists() for path in (*half, *whole)] == [False, False, True, True, True]
    assert not half[0].parent.exists()


def test_the_lock_file_of_a_killed_run_is_removed_and_a_held_one_stays(root: DataRoot[Path]) -> None:
    stale, other = (make(root.path / "runs" / "flowers" / f".2026-01-{day}.lock") for day in (30, 31))
    descriptor = os.open(other, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    own = root.path / "runs" / "flowers" / ".2026-02-01.lock"
    storage_at(own).lock_until_exit(own, "the run of flowers")
    sweep_root(root)
    os.close(descriptor)
    assert (stale.exists(), other.exists(), own.exists()) == (False, True, True)


def test_a_root_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    sweep_root(DataRoot(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()

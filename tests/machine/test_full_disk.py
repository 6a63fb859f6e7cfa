"""A disk that is full, read-only or closed to this user: one sentence, and published files stay as they are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.retrain import RetrainFlowers
from tasks.errors import MachineError
from tasks.runtime.os_errors import explain_os_errors
from tasks.stage import StageTask
from tasks.storage.cleanup import sweep_root
from tests.machine.conftest import run_in
from tests.pipeline.command import LUIGI, Project, published
from tests.pipeline.in_process import stages_of
from tests.support.processes import Finished, run

pytestmark = pytest.mark.slow

MOUNT, UMOUNT = "/bin/mount", "/bin/umount"
#: The root of most users is not bound by rights.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [MOUNT, "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run([UMOUNT, "--lazy", str(folder)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - free)
    return ballast


def forget(root: Path, stage: str) -> None:
    """Remove a stage's outputs; the export has none yet."""
    for path in root.glob(f"{stage}/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def task_of(run: RetrainFlowers, stage: str) -> StageTask:
    if stage == "backbone":
        return run.prepare_backbones()[0]
    if stage == "snapshot":
        return run.take_snapshot()
    return stages_of(run)[stage]


def temporaries(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(".tmp-") or path.name.endswith("_temp")]


@pytest.mark.parametrize(
    ("stage", "free"),
    [
        ("backbone", 0),
        ("snapshot", 0),
        ("snapshot", 8192),
        ("decode", 0),
        ("decode", 40_000),
        ("bottleneck", 40_000),
        ("train", 0),
        ("train", 20_000),
        ("train", 10_000),
        ("evaluate", 0),
        ("export", 100_000),
        ("champion", 0),
        ("report", 20_000),
    ],
)
def test_a_full_disk_ends_a_stage_and_the_next_run_completes_it(
    done: Project, disk: Path, stage: str, free: int
) -> None:
    root = disk / "data"
    shutil.copytree(done.root, root)
    forget(root, stage)
    before = published(root)
    ballast = fill(disk, free)
    task = run_in(Project(done.photos, root), export="all" if stage == "export" else "none")
    with pytest.raises(
        MachineError, match=rf"^The stage {stage} cannot .* \(No space left on device\)\. Make room, and"
    ):
        task_of(task, stage).run()
    assert before.items() <= published(root).items()
    ballast.unlink()
    if stage not in ("bottleneck", "export"):  # which take long and fail like the others
        task_of(task, stage).run()
        assert task_of(task, stage).complete()
    sweep_root(task.root)
    assert temporaries(root) == []


@pytest.mark.parametrize("free", [0, 4096])
def test_a_full_disk_ends_a_run_that_has_only_its_record_to_write(done: Project, disk: Path, free: int) -> None:
    """One page is room for the record, and none for the page of all runs."""
    root = disk / "data"
    shutil.copytree(done.root, root)
    task = run_in(Project(done.photos, root))
    manifests = {name: stage.manifest() for name, stage in stages_of(task, export=False).items()}
    task.record_path().parent.mkdir(parents=True)
    before = published(root)
    ballast = fill(disk, free)
    with (
        pytest.raises(MachineError, match=r"^The run for .* \(No space left on device\)\. Make room"),
        explain_os_errors(f"The run for {task.date}", task.root.path),
    ):
        task._record(manifests)
    assert before.items() <= published(root).items()
    ballast.unlink()
    task._record(manifests)
    assert task.complete()
    assert (root / "index.html").exists()


def retrain(root: Path, photos: Path, *before: str) -> Finished:
    options = ["--dataset", photos, "--data-root", root, "--image-size", "64"]
    return run([*before, LUIGI, "--module", "pipeline", "RetrainFlowers", *options])


def test_a_read_only_disk_is_told_of_and_left_as_it_is(done: Project, disk: Path) -> None:
    subprocess.run([MOUNT, "-o", "remount,ro", str(disk)], check=True)
    ended = retrain(disk / "data", done.photos)
    assert (ended.code, ended.output) == (56, "")
    remedy = "Make it writable, and run again; published results are kept."
    told = f"The stage backbone cannot read or write {disk}/data (Read-only file system). {remedy}"
    assert ended.errors == f"ERROR: {told}\n"


def test_a_root_that_this_user_may_not_enter_is_told_of(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0)
    ended = retrain(root, tmp_path / "photos", *(BOUND if os.geteuid() == 0 else ()))
    assert (ended.code, ended.output) == (56, "")
    assert ended.errors.startswith("ERROR: The ")
    assert f" cannot read or write {root}/" in ended.errors
    assert "(Permission denied). Mend the folder's rights" in ended.errors
    assert ended.errors.count("\n") == 1

"""Where bottlenecks are while a head is trained: in memory, or in a file without a name that is gone afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import MachineError
from tasks.train import vectors as module
from tasks.train.vectors import Floats, ScratchVectors, Vectors, _RowFile, blocks, choose, make_room
from tests.train.examples import draw_examples, put_on_disk, read

PHOTOS, VIEWS, WIDTH = 60, 3, 6

WRITER = """
import os, signal, sys
from pathlib import Path
from tasks.train.vectors import make_room
room = make_room((200_000, 1, 400), Path(sys.argv[1]))
print(type(room).__name__, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def array() -> Floats:
    return np.random.default_rng(0).normal(size=(PHOTOS, VIEWS, WIDTH)).astype(np.float32)


@pytest.fixture
def scratch(array: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScratchVectors:
    """The same on disk, written in random order and in two parts."""
    monkeypatch.setattr(module, "MOST_IN_MEMORY", array.nbytes - 1)
    room = make_room((PHOTOS, VIEWS, WIDTH), tmp_path)
    assert isinstance(room, ScratchVectors)
    for part in np.array_split(np.random.default_rng(1).permutation(PHOTOS * VIEWS), 2):
        places, views = np.divmod(part, VIEWS)
        room[places, views] = array[places, views]
    return room


@pytest.mark.parametrize(("spare", "kind"), [(0, np.ndarray), (-1, ScratchVectors)])
def test_up_to_a_size_bottlenecks_are_in_memory_and_from_there_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: int, kind: type
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", PHOTOS * VIEWS * WIDTH * 4 + spare)
    room = make_room((PHOTOS, VIEWS, WIDTH), tmp_path)
    assert isinstance(room, kind)
    assert room.shape == (PHOTOS, VIEWS, WIDTH)
    assert (len(room), room.nbytes) == (PHOTOS, PHOTOS * VIEWS * WIDTH * 4)


def test_photos_and_rows_on_disk_are_those_that_were_written(array: Floats, scratch: ScratchVectors) -> None:
    np.testing.assert_array_equal(read(scratch), array)
    np.testing.assert_array_equal(scratch[7:31], array[7:31])
    places = np.array([5, 6, 7, 3, 59, 5, 0])
    np.testing.assert_array_equal(scratch[places], array[places])
    rows = np.array([8, 1, 2, 3, 179, 3])
    np.testing.assert_array_equal(scratch.rows(rows), array.reshape(-1, WIDTH)[rows])
    assert scratch[places[:0]].shape == (0, VIEWS, WIDTH)


@pytest.mark.parametrize("views", [slice(None), slice(0, 1), slice(1, 3)])
def test_some_views_of_some_photos_are_chosen_on_disk_as_in_memory(
    array: Floats, scratch: ScratchVectors, views: slice
) -> None:
    which = np.random.default_rng(2).random(PHOTOS) < 0.6
    chosen, expected = choose(scratch, which, views), read(choose(array, which, views))
    assert isinstance(chosen, ScratchVectors)
    assert (chosen.shape, chosen.nbytes) == (expected.shape, expected.nbytes)
    np.testing.assert_array_equal(read(chosen), expected)
    rows = np.arange(len(expected) * expected.shape[1])[::-2]
    np.testing.assert_array_equal(chosen.rows(rows), expected.reshape(-1, WIDTH)[rows])
    again = expected[:, 0, 0] > 0
    np.testing.assert_array_equal(read(choose(chosen, again, slice(0, 1))), expected[again, :1])
    np.testing.assert_array_equal(read(choose(chosen, slice(None), slice(0, 1))), expected[:, :1])


@pytest.mark.parametrize("rows", [1, 7, 180, 1000])
def test_blocks_hold_every_photo_once_and_in_order(
    array: Floats, scratch: ScratchVectors, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", rows)
    kinds: tuple[Vectors, ...] = array, scratch
    for vectors in kinds:
        seen = list(blocks(vectors))
        assert [place for span, _ in seen for place in range(span.start, span.stop)] == list(range(PHOTOS))
        np.testing.assert_array_equal(np.concatenate([block for _, block in seen]), array)
        assert max(len(block) for _, block in seen) <= max(1, rows // VIEWS)


def test_the_file_has_no_name_and_is_gone_with_the_last_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 0)
    examples = put_on_disk(draw_examples((5, 5)), tmp_path)
    part = examples.take(examples.labels == 1)
    assert isinstance(part.vectors, ScratchVectors)
    descriptor = part.vectors._file._descriptor
    del examples
    assert list(tmp_path.iterdir()) == []
    assert read(part.vectors).shape == (5, 2, 6)
    del part
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_killed_training_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=Path(__file__).parent.parent.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (-signal.SIGKILL, "ScratchVectors")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_an_error_that_names_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"GB free, and a scratch file of 5,?120,?000\.0 GB is needed"):
        make_room((10**9, 1000, 1280), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_disk_that_fills_up_meanwhile_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    file = _RowFile(open("/dev/full", "r+b", buffering=0), WIDTH, tmp_path)  # noqa: PTH123, SIM115 (closed with the rows)
    with pytest.raises(MachineError, match=rf"scratch file in {tmp_path} cannot be written .*No space left"):
        file.write(np.arange(3), np.ones((3, WIDTH), np.float32))


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    file = _RowFile(open("/dev/null", "r+b", buffering=0), WIDTH, tmp_path)  # noqa: PTH123, SIM115 (closed with the rows)
    with pytest.raises(MachineError, match=rf"scratch file in {tmp_path} cannot be read"):
        file.read(np.arange(3))

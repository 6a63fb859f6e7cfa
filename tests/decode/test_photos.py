"""The decoded store kept up to date: nothing twice, nothing lost, whatever dies."""

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks.decode.images import read_pixels
from tasks.decode.photos import (
    ROWS_PER_GROUP,
    ROWS_PER_SHARD,
    DecodeCounts,
    DecodeStores,
    decode_photos,
    open_stores,
    read_rejected,
)
from tasks.decode.rejections import Reason
from tasks.decode.repair import Flawed
from tasks.decode.settings import DecodeSettings
from tasks.hardware import available_cores
from tasks.progress import NullProgress
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, smooth
from tests.support.processes import TIMEOUT, assert_gone, descendants, read_line, running, stop
from tests.support.progress import Tally

SETTINGS = DecodeSettings(size=16, resize=16)
MANY = 3 * ROWS_PER_SHARD // 2

#: Decodes; where it is told to, it stays in the middle of its work as soon as the first shard is there.
RUN = """
import sys, time
from pathlib import Path
from tasks.decode.photos import ROWS_PER_SHARD, decode_photos, open_stores
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.decode.test_photos import SETTINGS, table_of

class Staying(NullProgress):
    done = 0

    def advance(self, count):
        self.done += count
        if stays and self.done >= ROWS_PER_SHARD:
            while not stores.decoded.shards():
                time.sleep(0.01)
            print("ready", flush=True)
            time.sleep(3600)

folder, root = map(Path, sys.argv[1:3])
stays = sys.argv[3:] == ["stays"]
stores = open_stores(DataRoot(root), SETTINGS)
print(decode_photos(table_of(folder), folder, stores, Staying()).new)
"""


def draw(folder: Path, start: int, stop: int, width: int = 40) -> None:
    """Write photos that differ in their bytes: what follows the end of a JPEG does not show."""
    folder.mkdir(exist_ok=True)
    data = encode(smooth(width, width * 3 // 4), "JPEG")
    for number in range(start, stop):
        (folder / f"{number:05}.jpg").write_bytes(data + str(number).encode())


def table_of(folder: Path) -> pa.Table:
    """What a snapshot says of a folder."""
    files = sorted(folder.iterdir())
    keys = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return pa.table({"sha256": keys, "path": [file.name for file in files]})


def keys_in(store: ShardStore) -> list[str]:
    """Every row's key, shard by shard."""
    return [key for shard in store.shards() for key in pq.read_table(shard)["sha256"].to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw(tmp_path / "photos", 0, 20)
    return tmp_path / "photos"


@pytest.fixture
def stores(tmp_path: Path) -> DecodeStores:
    return open_stores(DataRoot(tmp_path / "data"), SETTINGS)


@dataclass
class Bench:
    """Everything that a run in a process of its own needs."""

    photos: pa.Table
    folder: Path
    stores: DecodeStores
    root: Path

    def run(self, *how: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start it."""
        return running([sys.executable, "-c", RUN, self.folder, self.root, *how], stderr=subprocess.PIPE)

    @contextmanager
    def run_until_first_shard(self) -> Iterator[subprocess.Popen[str]]:
        """Start it, and go on when it is in the middle of its work."""
        with self.run("stays") as process:
            assert read_line(process) == "ready\n"
            yield process


@pytest.fixture
def bench(tmp_path: Path, stores: DecodeStores) -> Bench:
    folder = tmp_path / "many"
    draw(folder, 0, MANY, width=300)
    return Bench(table_of(folder), folder, stores, tmp_path / "data")


def test_exactly_the_missing_photos_are_decoded(folder: Path, stores: DecodeStores) -> None:
    first = decode_photos(table_of(folder), folder, stores, NullProgress())
    draw(folder, 20, 27)
    progress = Tally()
    second = decode_photos(table_of(folder), folder, stores, progress)
    assert (first, second) == (DecodeCounts(20, 0, 0, 0, ()), DecodeCounts(7, 20, 0, 0, ()))
    assert progress == Tally(total=7, unit="photos", done=7, beginnings=1)
    before = stores.decoded.shards()
    assert decode_photos(table_of(folder), folder, stores, NullProgress()).reused == 27
    assert stores.decoded.shards() == before, "nothing new"
    assert sorted(keys_in(stores.decoded)) == sorted(table_of(folder)["sha256"].to_pylist())


def test_photos_of_any_name_in_utf8_are_decoded(folder: Path, stores: DecodeStores) -> None:
    names = ("line\nfeed.jpg", "🌹.jpg", "ü" * 125 + ".jpeg", " .jpg", "-rf.jpg", "a\tb\\c'\"`$(d).jpg", "%00.jpg")
    for name in names:
        (folder / name).write_bytes(encode(smooth(40, 30), "JPEG") + name.encode())
    assert decode_photos(table_of(folder), folder, stores, NullProgress()) == DecodeCounts(27, 0, 0, 0, ())


def test_no_photos_at_all_is_no_error(tmp_path: Path, stores: DecodeStores) -> None:
    nothing = pa.table({"sha256": pa.array([], pa.string()), "path": pa.array([], pa.string())})
    assert decode_photos(nothing, tmp_path, stores, NullProgress()) == DecodeCounts(0, 0, 0, 0, ())


def test_a_row_shows_its_photo_and_every_shard_says_what_it_is(folder: Path, stores: DecodeStores) -> None:
    (folder / "note.jpg").write_text("text")
    photos = table_of(folder)
    decode_photos(photos, folder, stores, NullProgress())
    [shard] = stores.decoded.shards()
    rows = pq.read_table(shard).to_pylist()
    assert [row["sha256"] for row in rows] == photos["sha256"].to_pylist()[:20], "in the order of the photos"
    assert rows[0]["image"]["path"] == f"{rows[0]['sha256']}.jpeg"
    assert read_pixels(rows[0]["image"]["bytes"]).shape == (16, 16, 3)
    assert [rows[0][name] for name in ("width", "height", "format", "mode")] == [40, 30, "JPEG", "RGB"]
    for store in (stores.decoded, stores.rejected):
        [shard] = store.shards()
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"stage"] == b"decode"
        assert metadata[b"key"] == SETTINGS.key.encode() == store.schema.metadata[b"key"]
        assert json.loads(metadata[b"settings"]) == SETTINGS.ingredients()


def test_shards_and_row_groups_are_bounded_and_in_the_order_of_the_photos(bench: Bench) -> None:
    decode_photos(bench.photos, bench.folder, bench.stores, NullProgress())
    files = sorted(map(pq.ParquetFile, bench.stores.decoded.shards()), key=lambda file: -file.metadata.num_rows)
    assert [file.metadata.num_rows for file in files] == [ROWS_PER_SHARD, MANY - ROWS_PER_SHARD]
    groups = [file.metadata.row_group(group) for file in files for group in range(file.num_row_groups)]
    assert max(group.num_rows for group in groups) <= ROWS_PER_GROUP
    keys = [key for file in files for key in file.read(["sha256"])["sha256"].to_pylist()]
    assert keys == bench.photos["sha256"].to_pylist()


@pytest.mark.parametrize("photos", [20, MANY])
def test_a_shard_that_cannot_be_written_ends_the_run(tmp_path: Path, stores: DecodeStores, photos: int) -> None:
    folder = tmp_path / "many"
    draw(folder, 0, photos)
    stores.decoded.folder.parent.mkdir(parents=True)
    stores.decoded.folder.write_text("a file where the folder is to be")
    with pytest.raises(OSError, match=stores.decoded.folder.name):
        decode_photos(table_of(folder), folder, stores, NullProgress())


def test_a_rejected_photo_is_kept_with_its_reason_and_not_tried_again(folder: Path, stores: DecodeStores) -> None:
    (folder / "note.jpg").write_text("text")
    photos = table_of(folder)
    assert decode_photos(photos, folder, stores, NullProgress()) == DecodeCounts(20, 0, 1, 0, ())
    progress = Tally()
    assert decode_photos(photos, folder, stores, progress) == DecodeCounts(0, 20, 0, 1, ())
    assert progress.total == 0
    [row] = pq.read_table(stores.rejected.shards()[0]).to_pylist()
    assert (row["path"], row["reason"]) == ("note.jpg", "unknown_format")
    assert row["sha256"] == hashlib.sha256(b"text").hexdigest()


def test_a_photo_that_is_too_large_is_looked_at_again_and_let_in_by_a_higher_cap(
    folder: Path, stores: DecodeStores
) -> None:
    (folder / "large.png").write_bytes(encode(smooth(50, 40), "PNG"))
    photos = table_of(folder)
    keys = photos["sha256"].combine_chunks()
    assert decode_photos(photos, folder, stores, NullProgress(), 1999) == DecodeCounts(20, 0, 1, 0, ())
    shards, progress = stores.rejected.shards(), Tally()
    assert decode_photos(photos, folder, stores, progress, 1999) == DecodeCounts(0, 20, 0, 1, ())
    assert (progress.total, stores.rejected.shards()) == (1, shards), "tried, and nothing new to write"
    assert read_rejected(stores, keys)["reason"].to_pylist() == ["too_large"]
    assert decode_photos(photos, folder, stores, NullProgress(), 2000) == DecodeCounts(1, 20, 0, 0, ())
    assert decode_photos(photos, folder, stores, NullProgress(), 1999) == DecodeCounts(0, 21, 0, 0, ()), "it stays"


def test_a_photo_too_large_before_that_is_damaged_besides_is_settled(folder: Path, stores: DecodeStores) -> None:
    (folder / "large.png").write_bytes(encode(smooth(50, 40), "PNG")[:-200])
    photos = table_of(folder)
    decode_photos(photos, folder, stores, NullProgress(), 1999)
    assert decode_photos(photos, folder, stores, NullProgress()) == DecodeCounts(0, 20, 1, 0, ())
    [row] = read_rejected(stores, photos["sha256"].combine_chunks()).to_pylist()
    assert (row["path"], row["reason"]) == ("large.png", "truncated")
    progress = Tally()
    assert decode_photos(photos, folder, stores, progress) == DecodeCounts(0, 20, 0, 1, ())
    assert progress.total == 0


def by_earlier_rules(stores: DecodeStores) -> DecodeStores:
    """The stores as a version before the rules had a number wrote them."""
    metadata = {name: value for name, value in stores.rejected.schema.metadata.items() if name != b"rules"}
    return replace(stores, rejected=replace(stores.rejected, schema=stores.rejected.schema.with_metadata(metadata)))


def test_what_earlier_rules_rejected_is_tried_once_more(folder: Path, stores: DecodeStores) -> None:
    (folder / "note.jpg").write_text("text")
    (folder / "empty.jpg").touch()
    (folder / "open.jpg").write_bytes(encode(smooth(40, 30), "JPEG")[:-2])
    photos = table_of(folder)
    keys = dict(zip(*(photos[name].to_pylist() for name in ("path", "sha256")), strict=True))
    reasons = {"note.jpg": "unknown_format", "empty.jpg": "empty", "open.jpg": "truncated"}
    rows = [
        {"sha256": keys[path], "path": path, "reason": reason, "message": "Earlier."}
        for path, reason in reasons.items()
    ]
    by_earlier_rules(stores).rejected.append(pa.Table.from_pylist(rows, stores.rejected.schema))
    flawed = Flawed(1, {"no_end_marker": 1}, ("open.jpg",))
    assert decode_photos(photos, folder, stores, NullProgress()) == DecodeCounts(21, 0, 1, 1, (), flawed)
    progress = Tally()
    assert decode_photos(photos, folder, stores, progress) == DecodeCounts(0, 21, 0, 2, ())
    assert progress.total == 0
    missing = photos.filter(pc.is_in(photos["path"], pa.array(["note.jpg", "empty.jpg"])))["sha256"].combine_chunks()
    told = {row["path"]: row["message"] for row in read_rejected(stores, missing).to_pylist()}
    assert told["empty.jpg"] == "Earlier."
    assert told["note.jpg"].startswith("Its content is no photo"), "of two rows the one of the rules that hold"


def test_a_photo_that_changed_or_vanished_is_in_no_store_and_tried_again(folder: Path, stores: DecodeStores) -> None:
    photos = table_of(folder)
    original = (folder / "00003.jpg").read_bytes()
    (folder / "00003.jpg").write_bytes(original + b" edited")
    (folder / "00005.jpg").rename(folder / "moved.jpg")
    counts = decode_photos(photos, folder, stores, NullProgress())
    assert (counts.new, counts.rejected) == (18, 0)
    assert [(skip.path, skip.reason) for skip in counts.skipped] == [
        ("00003.jpg", Reason.CHANGED),
        ("00005.jpg", Reason.VANISHED),
    ]
    (folder / "00003.jpg").write_bytes(original)
    (folder / "moved.jpg").rename(folder / "00005.jpg")
    assert decode_photos(photos, folder, stores, NullProgress()) == DecodeCounts(2, 18, 0, 0, ())


@pytest.mark.slow
def test_a_killed_run_is_taken_up_at_its_last_shard_and_leaves_no_process(bench: Bench) -> None:
    with bench.run_until_first_shard() as process:
        workers = descendants(process.pid)
        (bench.stores.decoded.folder / ".tmp-left-0123456789ab").touch()
        process.kill()
        process.communicate(timeout=TIMEOUT)
        assert len(workers) >= 1 + available_cores(), "the workers and the process that looks after their names"
        # A worker that outlives its parent waits for ever.
        assert_gone(workers)
    counts = decode_photos(bench.photos, bench.folder, bench.stores, NullProgress())
    assert counts == DecodeCounts(MANY - ROWS_PER_SHARD, ROWS_PER_SHARD, 0, 0, ())
    assert sorted(keys_in(bench.stores.decoded)) == sorted(bench.photos["sha256"].to_pylist())
    assert not list(bench.stores.decoded.folder.glob(".tmp-*"))


@pytest.mark.slow
def test_ctrl_c_ends_a_run_soon_and_all_its_processes(bench: Bench) -> None:
    with bench.run_until_first_shard() as process:
        assert len(descendants(process.pid)) >= available_cores()
        ended = stop(process, signal.SIGINT, whole_group=True)
    assert ended.code == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.errors
    assert "Process-" not in ended.errors, "no worker tells of an exception of its own"


@pytest.mark.slow
def test_two_runs_at_once_both_end_well_and_readers_see_each_photo_once(bench: Bench) -> None:
    with bench.run() as one, bench.run() as other:
        for run in (one, other):
            assert run.communicate(timeout=TIMEOUT)[1] == ""
            assert run.returncode == 0
    wanted = bench.photos["sha256"].combine_chunks()
    seen = [key for rows in bench.stores.decoded.rows(wanted, ["sha256"]) for key in rows["sha256"].to_pylist()]
    assert sorted(seen) == sorted(wanted.to_pylist())
    assert decode_photos(bench.photos, bench.folder, bench.stores, NullProgress()).new == 0

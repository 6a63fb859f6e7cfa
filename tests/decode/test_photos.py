"""Updates of the decoded store: nothing is stored twice and nothing is lost, even if a process is killed."""

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

from tasks.decode.images import MAX_PIXELS, read_pixels
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
from tasks.progress import NullProgress, Progress
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tests.decode.drawing import encode, photos_in, smooth
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
from tests.decode.drawing import photos_in
from tests.decode.test_photos import SETTINGS

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
print(decode_photos(photos_in(folder), folder, stores, Staying()).new)
"""


def draw(folder: Path, start: int, stop: int, width: int = 40) -> None:
    """Write photos that differ in their bytes: what follows the end of a JPEG does not show."""
    folder.mkdir(exist_ok=True)
    data = encode(smooth(width, width * 3 // 4), "JPEG")
    for number in range(start, stop):
        (folder / f"{number:05}.jpg").write_bytes(data + str(number).encode())


def keys_in(store: ShardStore) -> list[str]:
    """Every row's key, shard by shard."""
    return [key for shard in store.shards() for key in pq.read_table(shard)["sha256"].to_pylist()]


@dataclass
class Bench:
    """A folder of photos, and the data root with the stores of their pictures."""

    folder: Path
    root: Path

    @property
    def photos(self) -> pa.Table:
        """The snapshot's table of the photos that are there now."""
        return photos_in(self.folder)

    @property
    def stores(self) -> DecodeStores:
        """The stores of the pictures and of the rejected photos."""
        return open_stores(DataRoot(self.root), SETTINGS)

    def decode(
        self, progress: Progress | None = None, max_pixels: int = MAX_PIXELS, photos: pa.Table | None = None
    ) -> DecodeCounts:
        """Decode the photos, those that are there now if none are given."""
        photos = self.photos if photos is None else photos
        return decode_photos(photos, self.folder, self.stores, progress or NullProgress(), max_pixels)

    def run(self, *how: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start decoding in a process of its own."""
        return running([sys.executable, "-c", RUN, self.folder, self.root, *how], stderr=subprocess.PIPE)

    @contextmanager
    def run_until_first_shard(self) -> Iterator[subprocess.Popen[str]]:
        """Start decoding, and go on in the middle of it."""
        with self.run("stays") as process:
            assert read_line(process) == "ready\n"
            yield process


@pytest.fixture
def few(tmp_path: Path) -> Bench:
    """Twenty photos."""
    draw(tmp_path / "photos", 0, 20)
    return Bench(tmp_path / "photos", tmp_path / "data")


@pytest.fixture
def many(tmp_path: Path) -> Bench:
    """More photos than a shard has rows."""
    draw(tmp_path / "many", 0, MANY, width=300)
    return Bench(tmp_path / "many", tmp_path / "data")


def test_exactly_the_missing_photos_are_decoded(few: Bench) -> None:
    first = few.decode()
    draw(few.folder, 20, 27)
    progress = Tally()
    second = few.decode(progress)
    assert (first, second) == (DecodeCounts(20, 0, 0, 0, ()), DecodeCounts(7, 20, 0, 0, ()))
    assert progress == Tally(total=7, unit="photos", done=7, beginnings=1)
    before = few.stores.decoded.shards()
    assert few.decode().reused == 27
    assert few.stores.decoded.shards() == before, "nothing new"
    assert sorted(keys_in(few.stores.decoded)) == sorted(few.photos["sha256"].to_pylist())


def test_photos_of_any_name_in_utf8_are_decoded(few: Bench) -> None:
    names = ("line\nfeed.jpg", "🌹.jpg", "ü" * 125 + ".jpeg", " .jpg", "-rf.jpg", "a\tb\\c'\"`$(d).jpg", "%00.jpg")
    for name in names:
        (few.folder / name).write_bytes(encode(smooth(40, 30), "JPEG") + name.encode())
    assert few.decode() == DecodeCounts(27, 0, 0, 0, ())


def test_no_photos_at_all_is_no_error(few: Bench) -> None:
    assert few.decode(photos=few.photos.slice(0, 0)) == DecodeCounts(0, 0, 0, 0, ())


def test_a_row_shows_its_photo_and_every_shard_says_what_it_is(few: Bench) -> None:
    (few.folder / "note.jpg").write_text("text")
    few.decode()
    [shard] = few.stores.decoded.shards()
    rows = pq.read_table(shard).to_pylist()
    assert [row["sha256"] for row in rows] == few.photos["sha256"].to_pylist()[:20], "in the order of the photos"
    assert rows[0]["image"]["path"] == f"{rows[0]['sha256']}.jpeg"
    assert read_pixels(rows[0]["image"]["bytes"]).shape == (16, 16, 3)
    assert [rows[0][name] for name in ("width", "height", "format", "mode")] == [40, 30, "JPEG", "RGB"]
    for store in (few.stores.decoded, few.stores.rejected):
        [shard] = store.shards()
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"stage"] == b"decode"
        assert metadata[b"key"] == SETTINGS.key.encode() == store.schema.metadata[b"key"]
        assert json.loads(metadata[b"settings"]) == SETTINGS.ingredients()


def test_shards_and_row_groups_are_bounded_and_in_the_order_of_the_photos(many: Bench) -> None:
    many.decode()
    files = sorted(map(pq.ParquetFile, many.stores.decoded.shards()), key=lambda file: -file.metadata.num_rows)
    assert [file.metadata.num_rows for file in files] == [ROWS_PER_SHARD, MANY - ROWS_PER_SHARD]
    groups = [file.metadata.row_group(group) for file in files for group in range(file.num_row_groups)]
    assert max(group.num_rows for group in groups) <= ROWS_PER_GROUP
    keys = [key for file in files for key in file.read(["sha256"])["sha256"].to_pylist()]
    assert keys == many.photos["sha256"].to_pylist()


@pytest.mark.parametrize("bench", ["few", "many"])
def test_a_shard_that_cannot_be_written_ends_the_run(bench: str, request: pytest.FixtureRequest) -> None:
    own: Bench = request.getfixturevalue(bench)
    folder = own.stores.decoded.folder
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder is to be")
    with pytest.raises(OSError, match=folder.name):
        own.decode()


def test_a_rejected_photo_is_kept_with_its_reason_and_not_tried_again(few: Bench) -> None:
    (few.folder / "note.jpg").write_text("text")
    assert few.decode() == DecodeCounts(20, 0, 1, 0, ())
    progress = Tally()
    assert few.decode(progress) == DecodeCounts(0, 20, 0, 1, ())
    assert progress.total == 0
    [row] = pq.read_table(few.stores.rejected.shards()[0]).to_pylist()
    assert (row["path"], row["reason"]) == ("note.jpg", "unknown_format")
    assert row["sha256"] == hashlib.sha256(b"text").hexdigest()


def test_a_photo_that_is_too_large_is_looked_at_again_and_let_in_by_a_higher_cap(few: Bench) -> None:
    (few.folder / "large.png").write_bytes(encode(smooth(50, 40), "PNG"))
    assert few.decode(max_pixels=1999) == DecodeCounts(20, 0, 1, 0, ())
    shards, progress = few.stores.rejected.shards(), Tally()
    assert few.decode(progress, 1999) == DecodeCounts(0, 20, 0, 1, ())
    assert (progress.total, few.stores.rejected.shards()) == (1, shards), "tried, and nothing new to write"
    rejected = read_rejected(few.stores, few.photos["sha256"].combine_chunks())
    assert rejected["reason"].to_pylist() == ["too_large"]
    assert few.decode(max_pixels=2000) == DecodeCounts(1, 20, 0, 0, ())
    assert few.decode(max_pixels=1999) == DecodeCounts(0, 21, 0, 0, ()), "it stays"


def test_a_photo_too_large_before_that_is_damaged_besides_is_settled(few: Bench) -> None:
    (few.folder / "large.png").write_bytes(encode(smooth(50, 40), "PNG")[:-200])
    few.decode(max_pixels=1999)
    assert few.decode() == DecodeCounts(0, 20, 1, 0, ())
    [row] = read_rejected(few.stores, few.photos["sha256"].combine_chunks()).to_pylist()
    assert (row["path"], row["reason"]) == ("large.png", "truncated")
    progress = Tally()
    assert few.decode(progress) == DecodeCounts(0, 20, 0, 1, ())
    assert progress.total == 0


def by_earlier_rules(stores: DecodeStores) -> DecodeStores:
    """The stores as a version before the rules had a number wrote them."""
    metadata = {name: value for name, value in stores.rejected.schema.metadata.items() if name != b"rules"}
    return replace(stores, rejected=replace(stores.rejected, schema=stores.rejected.schema.with_metadata(metadata)))


def test_what_earlier_rules_rejected_is_tried_once_more(few: Bench) -> None:
    (few.folder / "note.jpg").write_text("text")
    (few.folder / "empty.jpg").touch()
    (few.folder / "open.jpg").write_bytes(encode(smooth(40, 30), "JPEG")[:-2])
    photos, stores = few.photos, few.stores
    keys = dict(zip(*(photos[name].to_pylist() for name in ("path", "sha256")), strict=True))
    reasons = {"note.jpg": "unknown_format", "empty.jpg": "empty", "open.jpg": "truncated"}
    rows = [
        {"sha256": keys[path], "path": path, "reason": reason, "message": "Earlier."}
        for path, reason in reasons.items()
    ]
    by_earlier_rules(stores).rejected.append(pa.Table.from_pylist(rows, stores.rejected.schema))
    flawed = Flawed(1, {"no_end_marker": 1}, ("open.jpg",))
    assert few.decode() == DecodeCounts(21, 0, 1, 1, (), flawed)
    progress = Tally()
    assert few.decode(progress) == DecodeCounts(0, 21, 0, 2, ())
    assert progress.total == 0
    missing = photos.filter(pc.is_in(photos["path"], pa.array(["note.jpg", "empty.jpg"])))["sha256"].combine_chunks()
    told = {row["path"]: row["message"] for row in read_rejected(stores, missing).to_pylist()}
    assert told["empty.jpg"] == "Earlier."
    assert told["note.jpg"].startswith("Its content is no photo"), "of two rows the one of the rules that hold"


def test_a_photo_that_changed_or_vanished_is_in_no_store_and_tried_again(few: Bench) -> None:
    photos, edited, gone = few.photos, few.folder / "00003.jpg", few.folder / "00005.jpg"
    original = edited.read_bytes()
    edited.write_bytes(original + b" edited")
    gone.rename(few.folder / "moved.jpg")
    counts = few.decode(photos=photos)
    assert (counts.new, counts.rejected) == (18, 0)
    assert [(skip.path, skip.reason) for skip in counts.skipped] == [
        ("00003.jpg", Reason.CHANGED),
        ("00005.jpg", Reason.VANISHED),
    ]
    edited.write_bytes(original)
    (few.folder / "moved.jpg").rename(gone)
    assert few.decode() == DecodeCounts(2, 18, 0, 0, ())


@pytest.mark.slow
def test_a_killed_run_is_taken_up_at_its_last_shard_and_leaves_no_process(many: Bench) -> None:
    with many.run_until_first_shard() as process:
        workers = descendants(process.pid)
        (many.stores.decoded.folder / ".tmp-left-0123456789ab").touch()
        process.kill()
        process.communicate(timeout=TIMEOUT)
        assert len(workers) >= 1 + available_cores(), "the workers and the process that looks after their names"
        # A worker that outlives its parent waits for ever.
        assert_gone(workers)
    counts = many.decode()
    assert counts == DecodeCounts(MANY - ROWS_PER_SHARD, ROWS_PER_SHARD, 0, 0, ())
    assert sorted(keys_in(many.stores.decoded)) == sorted(many.photos["sha256"].to_pylist())
    assert not list(many.stores.decoded.folder.glob(".tmp-*"))


@pytest.mark.slow
def test_ctrl_c_ends_a_run_soon_and_all_its_processes(many: Bench) -> None:
    with many.run_until_first_shard() as process:
        assert len(descendants(process.pid)) >= available_cores()
        ended = stop(process, signal.SIGINT, whole_group=True)
    assert ended.code == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.errors
    assert "Process-" not in ended.errors, "no worker tells of an exception of its own"


@pytest.mark.slow
def test_two_runs_at_once_both_end_well_and_readers_see_each_photo_once(many: Bench) -> None:
    with many.run() as one, many.run() as other:
        for run in (one, other):
            assert run.communicate(timeout=TIMEOUT)[1] == ""
            assert run.returncode == 0
    wanted = many.photos["sha256"].combine_chunks()
    seen = [key for rows in many.stores.decoded.rows(wanted, ["sha256"]) for key in rows["sha256"].to_pylist()]
    assert sorted(seen) == sorted(wanted.to_pylist())
    assert many.decode().new == 0

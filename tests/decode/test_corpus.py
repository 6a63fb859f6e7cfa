"""All bad and odd files at once, among good ones: each has its expected outcome, and the good ones stay."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.photos import DecodeStores, decode_photos, open_stores
from tasks.decode.rejections import Rejected
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tests.decode.corpus import MAX_PIXELS, Case, corpus
from tests.decode.drawing import EXACT, encode, smooth, table_of
from tests.snapshot.photo_files import put

GOOD = 60


def good_files() -> list[tuple[str, bytes]]:
    data = encode(smooth(40, 30), "JPEG")
    return [(f"good-{number:02}.jpg", data + str(number).encode()) for number in range(GOOD)]


def decode(root: Path, files: Sequence[tuple[str, bytes]]) -> DecodeStores:
    """Decode files into stores of their own."""
    stores, photos = open_stores(DataRoot(root / "data"), EXACT), dict(files)
    decode_photos(table_of(photos), put(root / "photos", photos), stores, NullProgress(), MAX_PIXELS)
    return stores


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return corpus()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, cases: list[Case]) -> DecodeStores:
    """The corpus, decoded with a good photo after every few bad ones."""
    files = [(case.name, case.data) for case in cases]
    step = len(files) // GOOD
    for number, good in enumerate(good_files()):
        files.insert(number * (step + 1), good)
    return decode(tmp_path_factory.mktemp("corpus") / "all", files)


def test_the_corpus_has_a_thousand_files_of_different_bytes_and_names(cases: list[Case]) -> None:
    assert len(cases) >= 1000
    assert len({case.name for case in cases}) == len({case.data for case in cases}) == len(cases)


def test_every_file_is_decoded_right_or_rejected_for_its_reason(stores: DecodeStores, cases: list[Case]) -> None:
    names = {hashlib.sha256(case.data).hexdigest(): case for case in cases}
    rejected = {row["sha256"]: row for row in _rows(stores.rejected.shards())}
    decoded = {row["sha256"]: row["image"]["bytes"] for row in _rows(stores.decoded.shards())}
    assert rejected.keys() | decoded.keys() >= names.keys()
    for key, case in names.items():
        if key in rejected:
            assert rejected[key]["reason"] in case.reasons, case.name
            assert case.says in rejected[key]["message"]
        elif case.pixels is None:
            assert case.kind == "bits flipped", f"{case.name} shows nothing that anybody knows"
        else:
            difference = np.abs(read_pixels(decoded[key]).astype(int) - case.pixels)
            assert difference.max() <= case.tolerance, case.name


def test_a_bit_that_is_flipped_is_more_often_seen_than_not(stores: DecodeStores, cases: list[Case]) -> None:
    flipped = {hashlib.sha256(case.data).hexdigest() for case in cases if case.kind == "bits flipped"}
    rejected = flipped.intersection(row["sha256"] for row in _rows(stores.rejected.shards()))
    assert len(flipped) / 3 < len(rejected) < len(flipped)


def test_good_photos_are_the_same_bytes_as_without_any_bad_ones(stores: DecodeStores, tmp_path: Path) -> None:
    alone = _rows(decode(tmp_path / "good", good_files()).decoded.shards())
    wanted = {row["sha256"] for row in alone}
    assert len(wanted) == GOOD
    among = {row["sha256"]: row for row in _rows(stores.decoded.shards()) if row["sha256"] in wanted}
    assert [among[row["sha256"]] for row in alone] == alone


def test_codecs_do_not_write_to_the_terminal(
    tmp_path: Path, cases: list[Case], capfd: pytest.CaptureFixture[str]
) -> None:
    """Cron mails what a run says on standard error."""
    decode(tmp_path / "tiff", [(case.name, case.data) for case in cases if "tiff" in case.name])
    assert capfd.readouterr() == ("", "")


def test_memory_does_not_grow_over_the_corpus(cases: list[Case]) -> None:
    resident = []
    for _ in range(4):
        for case in cases:
            with suppress(Rejected):
                decode_photo(case.data, EXACT, MAX_PIXELS)
        resident.append(psutil.Process().memory_info().rss)
    assert resident[-1] - resident[1] < 4 * 2**20, resident


def _rows(shards: Sequence[AnyPath]) -> list[dict[str, Any]]:
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]

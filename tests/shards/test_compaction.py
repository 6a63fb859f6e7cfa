"""Compaction: large shards of the same rows, beside readers, whatever dies."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import StoreError
from tasks.progress import NullProgress
from tasks.shards.compaction import Compacted, Extent, open_store, plan_compaction, run_compaction, store_folders
from tasks.shards.manifests import read_manifest
from tasks.shards.schemas import REJECTED, describe
from tasks.shards.shard import merged_into
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot, manifest_path
from tests.shards.rows import (
    VIEWS,
    bottlenecks,
    counts,
    every_view,
    flip_a_bit,
    key,
    keys,
    named,
    publish_manifest,
    rows_at,
    seven_shards,
)
from tests.shards.rows import open_store as open_bottlenecks
from tests.support.progress import Tally

GROUPS = {"bottleneck": 4, "decode": 2}


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return seven_shards(tmp_path / "store")


def test_small_shards_become_large_ones_of_the_same_rows(store: ShardStore) -> None:
    before = store.read(keys(*range(21))).sort_by([("sha256", "ascending"), ("view", "ascending")])
    progress = Tally()
    done = run_compaction(store, 18, progress)
    assert counts(store) == [6, 18, 18]
    after = store.read(keys(*range(21))).sort_by([("sha256", "ascending"), ("view", "ascending")])
    assert after.equals(before)
    assert done.before[:2] == (7, 42)
    assert done.after == Extent(3, 42, sum(shard.stat().st_size for shard in store.shards()))
    assert progress == Tally(total=36, unit="rows", done=36, beginnings=1)


def test_shards_keep_row_groups_compression_checksums_and_metadata(store: ShardStore) -> None:
    (small, *_) = store.shards()
    metadata, column = pq.read_schema(small).metadata, pq.read_metadata(small).row_group(0).column(2)
    run_compaction(store, 100, NullProgress())
    (shard,) = store.shards()
    file = pq.ParquetFile(shard)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sizes == [4] * 10 + [2]
    assert (file.metadata.row_group(0).column(2).compression, set(file.metadata.row_group(0).column(2).encodings)) == (
        column.compression,
        set(column.encodings),
    )
    assert {name: value for name, value in file.schema_arrow.metadata.items() if name != b"merged"} == metadata
    flip_a_bit(shard, 0)
    with pytest.raises(StoreError, match="is damaged"):
        store.found(keys(1))


def test_manifests_name_the_large_shards_and_a_damaged_one_is_left_to_the_next_run(store: ShardStore) -> None:
    before, damaged = read_manifest(manifest_path(store.folder, "all")), manifest_path(store.folder, "half")
    damaged.write_text("{")
    run_compaction(store, 100, NullProgress())
    after = read_manifest(manifest_path(store.folder, "all"))
    assert after == replace(before, shards=tuple(shard.name for shard in store.shards()))
    assert rows_at(store, range(21), named(store, "two")) == every_view(range(21))
    assert damaged.read_text() == "{"


def test_a_plan_changes_nothing_and_predicts_the_compaction(store: ShardStore) -> None:
    before = store.shards()
    plan = plan_compaction(store, 18)
    assert store.shards() == before
    done = run_compaction(store, 18, NullProgress())
    assert plan == Compacted(done.before, done.after._replace(bytes=None))
    compacted = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    for result in (plan_compaction(store, 18), run_compaction(store, 18, NullProgress())):
        assert result == Compacted(done.after, done.after)
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == compacted


def test_duplicate_rows_are_dropped_and_a_manifest_names_the_shard_that_keeps_them(tmp_path: Path) -> None:
    store = open_bottlenecks(tmp_path)
    large = store.append(bottlenecks(range(10), VIEWS, first=1))
    twice = store.append(bottlenecks(range(8, 12), VIEWS, first=2))
    publish_manifest(store, "snap", [twice])
    done = run_compaction(store, 30, NullProgress())
    assert (done.before.rows, done.after.rows) == (28, 24)
    assert large in store.shards()
    assert counts(store) == [4, 20]
    assert large in named(store, "snap")
    assert rows_at(store, range(8, 12), named(store, "snap")) == every_view(range(8, 12))
    # A reader that read the manifest before.
    assert rows_at(store, range(8, 12), [twice]) == every_view(range(8, 12))


@settings(max_examples=20, deadline=None)
@given(
    shards=st.lists(st.sets(st.integers(0, 20), min_size=1), max_size=6),
    target=st.integers(1, 40),
    dtype=st.sampled_from(["int16", "uint8"]),
)
@example(shards=[set(range(10)), set(range(3))], target=20, dtype="uint8")
@example(shards=[set(range(start, start + 3)) for start in range(0, 21, 3)], target=10, dtype="int16")
def test_no_row_is_lost_or_duplicated_and_the_views_of_a_photo_stay_together(
    tmp_path_factory: pytest.TempPathFactory, shards: list[set[int]], target: int, dtype: str
) -> None:
    store = open_bottlenecks(tmp_path_factory.mktemp("store"), dtype)
    written = [store.append(bottlenecks(sorted(own), VIEWS, first=at)) for at, own in enumerate(shards)]
    for snapshot, shard in enumerate(written):
        publish_manifest(store, f"{snapshot}", [shard])
    there = sorted(set().union(*shards))
    planned = plan_compaction(store, target)
    done = run_compaction(store, target, NullProgress())
    assert (planned.after.shards, planned.after.rows) == (done.after.shards, done.after.rows)
    assert sum(counts(store)) == done.after.rows == len(there) * VIEWS
    # All views of a photo are in one shard.
    assert sum(len(set(pq.read_table(shard)["sha256"].to_pylist())) for shard in store.shards()) == len(there)
    assert rows_at(store, range(21)) == every_view(there)
    for snapshot, own in enumerate(shards):
        assert rows_at(store, sorted(own), named(store, f"{snapshot}")) == every_view(sorted(own))
        assert rows_at(store, sorted(own), [written[snapshot]]) == every_view(sorted(own))
    # The first may have left small shards of what it had to write for the rows that stood twice.
    run_compaction(store, target, NullProgress())
    assert rows_at(store, range(21)) == every_view(there)


def test_names_are_followed_through_a_second_compaction(store: ShardStore) -> None:
    old = store.shards()
    run_compaction(store, 18, NullProgress())
    store.append(bottlenecks(range(21, 24), VIEWS))
    between = store.shards()
    run_compaction(store, 100, NullProgress())
    (shard,) = store.shards()
    assert set(merged_into(pq.ParquetFile(shard))) == {path.name for path in (*old, *between)}
    for names in (old[:1], between[:1], old, between):
        assert set(every_view(range(3))) <= set(rows_at(store, range(24), names))


def test_a_shard_lost_before_a_compaction_is_still_reported(store: ShardStore) -> None:
    lost = named(store, "two")[0]
    lost.unlink()
    run_compaction(store, 100, NullProgress())
    with pytest.raises(StoreError, match=f"{lost.name} is gone"):
        rows_at(store, range(21), named(store, "two"))


def test_a_damaged_shard_is_named_and_none_is_lost(store: ShardStore) -> None:
    damaged = store.shards()[3]
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-20])
    before = store.shards()
    with pytest.raises(StoreError, match=f"{damaged.name} is damaged"):
        run_compaction(store, 100, NullProgress())
    assert store.shards() == before


def test_a_store_is_found_and_opened_from_its_shards(root: DataRoot[Path]) -> None:
    assert store_folders(root) == []
    rejected = ShardStore(root.rejected("b"), describe(REJECTED, "decode", "b", {"size": 1}), 2)
    rejected.append(pa.table({"sha256": [key(1)], "path": ["a"], "reason": ["b"], "message": ["c"]}))
    embedded = open_bottlenecks(root.bottleneck("a"))
    embedded.append(bottlenecks([1]))
    root.decode("empty").mkdir()
    assert store_folders(root) == [rejected.folder, embedded.folder]
    run_compaction(embedded, 1, NullProgress())
    for known in (rejected, embedded):
        opened = open_store(known.folder, GROUPS)
        assert opened == known
        assert opened.schema.metadata == known.schema.metadata


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    schema = open_bottlenecks(tmp_path).schema
    other = ShardStore(tmp_path, schema.with_metadata(schema.metadata | {b"schema_version": b"0"}), 4)
    other.append(bottlenecks([1]))
    with pytest.raises(StoreError, match=r"another version\. Move its folder away"):
        open_store(tmp_path, GROUPS)


def test_a_large_shard_has_the_metadata_that_all_of_the_small_ones_have(tmp_path: Path) -> None:
    store = open_bottlenecks(tmp_path / "store")
    metadata = {**store.schema.metadata, "rules": "2"}
    newer = replace(store, schema=store.schema.with_metadata(metadata))
    for start in range(0, 6, 3):
        newer.append(bottlenecks(range(start, start + 3), VIEWS))
    run_compaction(newer, 100, NullProgress())
    assert pq.read_schema(store.shards()[0]).metadata[b"rules"] == b"2"
    store.append(bottlenecks(range(6, 9), VIEWS))
    run_compaction(newer, 100, NullProgress())
    [shard] = store.shards()
    assert b"rules" not in pq.read_schema(shard).metadata
    assert rows_at(store, range(9)) == every_view(range(9))

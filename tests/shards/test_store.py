"""Stores: shards that are written once, and a reader that gets each key's rows once."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.parquet import open_parquet
from tasks.shards.schemas import REJECTED, bottleneck_schema
from tasks.shards.shard import MERGED
from tasks.shards.store import ShardStore
from tasks.storage.errors import DamagedError
from tasks.storage.files import storage_at
from tests.shards.rows import WIDTH, bottlenecks, flip_a_bit, key, keys, open_store, rows_of


@pytest.fixture
def store(folder: AnyPath) -> ShardStore:
    """An empty store of bottlenecks, on this machine or on an object store."""
    return open_store(folder)


@pytest.fixture
def local_store(tmp_path: Path) -> ShardStore:
    """An empty store of bottlenecks on this machine."""
    return open_store(tmp_path / "store")


def test_an_empty_store_and_an_empty_search_have_no_rows(store: ShardStore) -> None:
    assert store.found(keys(1, 2)).tolist() == [False, False]
    assert store.shards() == store.search(keys(1)).shards() == list(store.rows(keys(1))) == []
    store.sweep()
    store.append(bottlenecks(range(10)))
    assert list(store.rows(keys())) == []
    assert store.read(keys()).equals(store.schema.empty_table())
    assert store.found(keys()).tolist() == []


def test_keys_are_found_in_the_order_of_the_question_and_only_their_rows_are_read(store: ShardStore) -> None:
    first = store.append(bottlenecks([5, 3]))
    second = store.append(bottlenecks([8, 6]))
    store.append(bottlenecks([9]))
    found = store.found(keys(1, 3, 8, 2, 5))
    assert found.dtype == np.bool_
    assert found.tolist() == [False, True, True, False, True]
    assert store.search(keys(3, 8, 99)).shards() == sorted([first, second])
    assert rows_of(store.read(keys(8, 3, 77))) == [(3, 0), (8, 0)]
    (table,) = store.rows(keys(*range(10)), shards=[first])
    assert rows_of(table) == [(3, 0), (5, 0)]


def test_rows_are_read_as_they_were_written_a_row_group_at_a_time(store: ShardStore) -> None:
    table = bottlenecks(range(5), views=3)
    metadata = open_parquet(store.append(table)).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [4, 4, 4, 3]
    assert [rows.num_rows for rows in store.rows(keys(*range(5)))] == [4, 4, 4, 3]
    assert store.read(keys(*range(5))).equals(table.cast(store.schema))
    # No group ends where a key does.
    assert rows_of(store.read(keys(1, 2, 4))) == [(number, view) for number in (1, 2, 4) for view in range(3)]
    assert [rows.num_rows for rows in store.rows(keys(0, 4))] == [3, 3], "two groups have none of these keys"
    (rows,) = store.rows(keys(0), ["sha256", "view"])
    assert rows.to_pylist() == [{"sha256": key(0), "view": view} for view in range(3)]


def test_keys_that_two_shards_hold_come_once_and_the_same_rows_are_one_shard(store: ShardStore) -> None:
    for first, numbers in ((1, range(6)), (2, range(3, 9)), (1, range(6))):
        store.append(bottlenecks(numbers, views=2, first=first))
    assert len(store.shards()) == 2
    wanted = keys(*range(9))
    assert rows_of(store.read(wanted)) == [(number, view) for number in range(9) for view in range(2)]
    origins = {(row["sha256"], row["bottleneck"][0]) for row in store.read(wanted).to_pylist()}
    assert len(origins) == 9, "both views of a photo come from the same shard"


def test_a_repeated_search_opens_only_new_shards(store: ShardStore) -> None:
    first = store.append(bottlenecks(range(3)))
    search = store.search(keys(1, 4, 9))
    assert search.found.tolist() == [True, False, False]
    second = store.append(bottlenecks(range(3, 6)))
    cut(first)
    search.update()
    assert search.found.tolist() == [True, True, False]
    assert search.shards() == sorted([first, second])
    (shards, places) = search.holders(np.array([False, True, False]))
    assert (shards, places.tolist()) == ([second], [0])


def test_a_search_forgets_removed_shards_and_finds_their_rows_in_new_ones(store: ShardStore) -> None:
    first, second = (store.append(bottlenecks(range(start, start + 3))) for start in (0, 3))
    search = store.search(keys(1, 4))
    storage_at(first).remove_files([first])
    search.update()
    assert search.found.tolist() == [False, True]
    again = store.append(bottlenecks(range(2), first=7))
    search.update()
    assert search.found.tolist() == [True, True]
    assert search.shards() == sorted([again, second])


def test_rows_of_a_shard_that_was_merged_into_another_are_found_there(store: ShardStore) -> None:
    gone, other = (store.append(bottlenecks(range(start, start + 3))) for start in (0, 3))
    metadata = store.schema.metadata | {MERGED: f'["{gone.name}"]'.encode()}
    merged = ShardStore(store.folder, store.schema.with_metadata(metadata), 4).append(bottlenecks(range(3)))
    storage_at(gone).remove_files([gone])
    for shards in ([gone], [gone, other], [other, gone, merged]):
        assert rows_of(pa.concat_tables(store.rows(keys(0, 2, 4, 99), shards=shards))) == [(0, 0), (2, 0), (4, 0)]


def test_a_shard_that_is_gone_is_named_though_another_one_holds_a_key_of_it(store: ShardStore) -> None:
    gone = store.append(bottlenecks(range(3)))
    store.append(bottlenecks(range(2), first=7))
    storage_at(gone).remove_files([gone])
    with pytest.raises(StoreError, match=re.escape(f"{gone} is gone. Delete the folder manifests")):
        list(store.rows(keys(1, 2), shards=[gone]))


def test_a_sweep_removes_leftovers_of_a_crash_and_no_shard(local_store: ShardStore) -> None:
    shard = local_store.append(bottlenecks(range(3)))
    (local_store.folder / ".tmp-part.parquet-0123456789ab").write_bytes(b"PAR1 half of a shard")
    assert local_store.shards() == [shard]
    local_store.sweep()
    assert [*local_store.folder.iterdir()] == [shard]


@settings(max_examples=25, deadline=None)
@given(
    shards=st.lists(st.sets(st.integers(0, 12), min_size=1), max_size=3),
    views=st.integers(1, 3),
    wanted=st.lists(st.integers(0, 15), unique=True),
)
def test_each_wanted_key_has_its_views_once_in_any_shards(
    tmp_path_factory: pytest.TempPathFactory, shards: list[set[int]], views: int, wanted: list[int]
) -> None:
    store = open_store(tmp_path_factory.mktemp("store"))
    for number, numbers in enumerate(shards):
        store.append(bottlenecks(sorted(numbers), views, first=number))
    there = set().union(*shards)
    assert store.found(keys(*wanted)).tolist() == [number in there for number in wanted]
    expected = [(number, view) for number in sorted(there & set(wanted)) for view in range(views)]
    assert rows_of(store.read(keys(*wanted))) == expected


def cut(shard: AnyPath) -> AnyPath:
    shard.write_bytes(shard.read_bytes()[:-20])
    return shard


def write_beside(shard: AnyPath, data: bytes) -> AnyPath:
    """Write a file that is no shard under a name of one."""
    foreign = shard.with_name("part-0123456789abcdef.parquet")
    foreign.write_bytes(data)
    return foreign


@pytest.mark.parametrize(
    ("damage", "uses"),
    [
        (cut, ("found", "search", "read")),
        (lambda shard: flip_a_bit(shard, 0), ("found", "search", "read")),
        (lambda shard: flip_a_bit(shard, 2), ("read",)),
        (lambda shard: write_beside(shard, b""), ("found", "read")),
        (lambda shard: write_beside(shard, b"PAR1"), ("found", "read")),
        (lambda shard: write_beside(shard, b"<html>no shard</html>"), ("found", "read")),
    ],
    ids=["cut", "bit of a key", "bit of a vector", "empty", "short", "foreign"],
)
def test_a_damaged_shard_is_named_with_the_remedy(
    store: ShardStore, damage: Callable[[AnyPath], AnyPath], uses: tuple[str, ...]
) -> None:
    shard = damage(store.append(bottlenecks(range(4))))
    says = re.escape(f"{shard} is damaged (") + r"(?s:.*)Delete it and the folder manifests of its store"
    for use in uses:
        with pytest.raises(DamagedError, match=says) as caught:
            getattr(store, use)(keys(1, 7))
        assert caught.value.path == shard


def test_a_shard_that_is_not_named_after_its_bytes_is_damaged_if_most_of_it_is_read(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(3)))
    storage_at(shard).move(shard, shard.with_name("part-0123456789abcdef.parquet"))
    with pytest.raises(DamagedError, match="its bytes are not those that it is named after"):
        store.read(keys(0, 1))


def damaged_copies(good: bytes) -> Iterator[bytes]:
    """A file cut at many lengths, zeroed in many places, and with many single bits flipped, all headers' among them."""
    size = len(good)
    yield from (good[:length] for length in range(0, size, size // 40))
    yield from (good[:start] + bytes(64) + good[start + 64 :] for start in range(0, size - 64, size // 20))
    yield bytes(size)
    for place in (*range(0, size, 29), *range(size - 12, size)):
        for bit in (1, 16):
            yield good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :]


def test_no_wrong_row_is_read_from_a_damaged_shard(local_store: ShardStore) -> None:
    shard = local_store.append(bottlenecks(range(10), views=2))
    good = shard.read_bytes()
    copies = [copy for copy in damaged_copies(good) if copy != good]
    assert len(copies) > 400
    for copy in copies:
        shard.write_bytes(copy)
        with pytest.raises(DamagedError) as caught:
            local_store.read(keys(*range(10)))
        assert caught.value.path == shard
    shard.write_bytes(good)
    assert local_store.read(keys(*range(10))).num_rows == 20


def test_a_shard_of_few_wanted_rows_is_not_hashed(store: ShardStore) -> None:
    flip_a_bit(store.append(bottlenecks(range(20))), 2)
    assert store.read(keys(19)).num_rows == 1, "the damage is in another row group"


def test_a_quarantined_file_is_no_shard(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(3)))
    storage_at(shard).move(shard, store.folder / "damaged" / shard.name)
    assert store.shards() == []
    assert store.read(keys(1)).num_rows == 0


@pytest.mark.parametrize("schema", [REJECTED, bottleneck_schema(WIDTH + 1, "int16")], ids=["rejected", "wider"])
def test_a_shard_of_other_columns_is_named_with_the_remedy(store: ShardStore, schema: pa.Schema) -> None:
    shard = store.append(bottlenecks(range(3)))
    other = ShardStore(store.folder, schema, 4)
    for use in (other.found, other.search, other.read):
        with pytest.raises(StoreError, match=re.escape(f"{shard} has other columns") + ".* Move it away"):
            use(keys(1))

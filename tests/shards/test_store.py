"""Stores: shards that are written once, and a reader that gets each key's rows once."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
from tasks.storage.files import move, remove_files
from tests.shards.rows import WIDTH, bottlenecks, key, keys, open_store, rows_of


@pytest.fixture
def store(folder: AnyPath) -> ShardStore:
    """An empty store of bottlenecks, on this machine or on an object store."""
    return open_store(folder)


@pytest.fixture
def local_store(tmp_path: Path) -> ShardStore:
    """An empty store of bottlenecks on this machine."""
    return open_store(tmp_path / "store")


def test_a_store_that_was_never_written_to_has_nothing(store: ShardStore) -> None:
    assert store.found(keys(1, 2)).tolist() == [False, False]
    assert store.shards() == store.search(keys(1)).shards() == list(store.rows(keys(1))) == []
    assert store.sweep() == 0


def test_found_answers_in_the_order_of_the_question(store: ShardStore) -> None:
    store.append(bottlenecks([5, 3]))
    store.append(bottlenecks([8]))
    found = store.found(keys(1, 3, 8, 2, 5))
    assert found.dtype == np.bool_
    assert found.tolist() == [False, True, True, False, True]


def test_rows_are_read_as_they_were_written(store: ShardStore) -> None:
    table = bottlenecks(range(10), views=2)
    store.append(table)
    assert store.read(keys(*range(10))).equals(table.cast(store.schema))


def test_only_the_wanted_keys_are_read(store: ShardStore) -> None:
    store.append(bottlenecks(range(10)))
    store.append(bottlenecks(range(10, 20)))
    assert rows_of(store.read(keys(19, 4, 77))) == [(4, 0), (19, 0)]


def test_nothing_wanted_is_nothing_read(store: ShardStore) -> None:
    store.append(bottlenecks(range(10)))
    assert list(store.rows(keys())) == []
    assert store.read(keys()).equals(store.schema.empty_table())
    assert store.found(keys()).tolist() == []


def test_keys_that_two_shards_hold_come_once(store: ShardStore) -> None:
    store.append(bottlenecks(range(6), views=2, first=1))
    store.append(bottlenecks(range(3, 9), views=2, first=2))
    assert len(store.shards()) == 2
    wanted = keys(*range(9))
    assert rows_of(store.read(wanted)) == [(number, view) for number in range(9) for view in range(2)]
    origins = {(row["sha256"], row["bottleneck"][0]) for row in store.read(wanted).to_pylist()}
    assert len(origins) == 9, "both views of a photo come from the same shard"


def test_all_views_of_a_key_come_though_they_span_row_groups(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(5), views=3))
    groups = open_parquet(shard).num_row_groups
    assert groups == 4, "15 rows, 4 a group: no group ends where a key does"
    assert rows_of(store.read(keys(1, 2, 4))) == [(number, view) for number in (1, 2, 4) for view in range(3)]


def test_rows_stream_a_row_group_at_a_time(store: ShardStore) -> None:
    store.append(bottlenecks(range(10)))
    tables = list(store.rows(keys(*range(10))))
    assert [table.num_rows for table in tables] == [4, 4, 2]


def test_groups_without_a_wanted_key_yield_nothing(store: ShardStore) -> None:
    store.append(bottlenecks(range(12)))
    assert [table.num_rows for table in store.rows(keys(0, 11))] == [1, 1]


def test_only_the_columns_that_are_asked_for_are_read(store: ShardStore) -> None:
    store.append(bottlenecks(range(3)))
    (table,) = store.rows(keys(1), ["sha256", "view"])
    assert table.to_pylist() == [{"sha256": key(1), "view": 0}]


def test_only_the_shards_that_are_named_are_read(store: ShardStore) -> None:
    first = store.append(bottlenecks(range(3)))
    store.append(bottlenecks(range(3, 6)))
    (table,) = store.rows(keys(*range(6)), shards=[first])
    assert rows_of(table) == [(0, 0), (1, 0), (2, 0)]


def test_holding_names_the_shards_of_the_wanted_keys(store: ShardStore) -> None:
    first, second, _ = (store.append(bottlenecks(range(start, start + 3))) for start in (0, 3, 6))
    assert store.search(keys(1, 5, 99)).shards() == sorted([first, second])


def test_a_search_that_looks_again_opens_only_what_is_new(store: ShardStore) -> None:
    first = store.append(bottlenecks(range(3)))
    search = store.search(keys(1, 4, 9))
    assert search.found.tolist() == [True, False, False]
    second = store.append(bottlenecks(range(3, 6)))
    cut(first)
    search.look()
    assert search.found.tolist() == [True, True, False]
    assert search.shards() == sorted([first, second])
    assert search.shards(np.array([False, True, True])) == [second]


def test_a_search_forgets_what_is_gone_and_finds_it_where_it_is_now(store: ShardStore) -> None:
    first, second = (store.append(bottlenecks(range(start, start + 3))) for start in (0, 3))
    search = store.search(keys(1, 4))
    remove_files([first])
    search.look()
    assert search.found.tolist() == [False, True]
    again = store.append(bottlenecks(range(2), first=7))
    search.look()
    assert search.found.tolist() == [True, True]
    assert search.shards() == sorted([again, second])


def test_rows_of_a_shard_that_was_merged_into_another_are_found_there(store: ShardStore) -> None:
    gone, other = (store.append(bottlenecks(range(start, start + 3))) for start in (0, 3))
    metadata = store.schema.metadata | {MERGED: f'["{gone.name}"]'.encode()}
    merged = ShardStore(store.folder, store.schema.with_metadata(metadata), 4).append(bottlenecks(range(3)))
    remove_files([gone])
    for shards in ([gone], [gone, other], [other, gone, merged]):
        assert rows_of(pa.concat_tables(store.rows(keys(0, 2, 4, 99), shards=shards))) == [(0, 0), (2, 0), (4, 0)]


def test_another_shard_that_holds_a_key_does_not_excuse_one_that_is_gone(store: ShardStore) -> None:
    gone = store.append(bottlenecks(range(3)))
    store.append(bottlenecks(range(2), first=7))
    remove_files([gone])
    with pytest.raises(StoreError, match=re.escape(f"{gone} is gone.")):
        list(store.rows(keys(1, 2), shards=[gone]))


def test_row_groups_stay_within_their_bound(store: ShardStore) -> None:
    metadata = open_parquet(store.append(bottlenecks(range(9)))).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [4, 4, 1]


def test_the_same_rows_appended_twice_are_one_shard(store: ShardStore) -> None:
    assert store.append(bottlenecks(range(3))) == store.append(bottlenecks(range(3)))
    assert len(store.shards()) == 1


def test_a_sweep_removes_what_a_crash_left_and_no_shard(local_store: ShardStore) -> None:
    shard = local_store.append(bottlenecks(range(3)))
    (local_store.folder / ".tmp-part.parquet-0123456789ab").write_bytes(b"PAR1 half of a shard")
    assert local_store.shards() == [shard]
    assert local_store.sweep() == 1
    assert [*local_store.folder.iterdir()] == [shard]


@settings(max_examples=25, deadline=None)
@given(
    shards=st.lists(st.sets(st.integers(0, 12), min_size=1), max_size=3),
    views=st.integers(1, 3),
    wanted=st.lists(st.integers(0, 15), unique=True),
)
def test_whatever_lies_where_each_wanted_key_has_its_views_once(
    tmp_path_factory: pytest.TempPathFactory, shards: list[set[int]], views: int, wanted: list[int]
) -> None:
    store = open_store(tmp_path_factory.mktemp("store"))
    for number, numbers in enumerate(shards):
        store.append(bottlenecks(sorted(numbers), views, first=number))
    there = set().union(*shards)
    assert store.found(keys(*wanted)).tolist() == [number in there for number in wanted]
    expected = [(number, view) for number in sorted(there & set(wanted)) for view in range(views)]
    assert rows_of(store.read(keys(*wanted))) == expected


def cut(shard: AnyPath) -> None:
    shard.write_bytes(shard.read_bytes()[:-20])


def flip_a_bit(shard: AnyPath, column: int) -> None:
    """Damage the last byte of a column's first chunk, which is a number of its last page."""
    damaged = bytearray(shard.read_bytes())
    chunk = pq.read_metadata(pa.BufferReader(bytes(damaged))).row_group(0).column(column)
    start = chunk.data_page_offset if chunk.dictionary_page_offset is None else chunk.dictionary_page_offset
    damaged[start + chunk.total_compressed_size - 1] ^= 1
    shard.write_bytes(bytes(damaged))


def flip_a_bit_of_a_key(shard: AnyPath) -> None:
    flip_a_bit(shard, 0)


@pytest.mark.parametrize("damage", [cut, flip_a_bit_of_a_key])
def test_a_damaged_shard_is_named_with_the_remedy(store: ShardStore, damage: Callable[[AnyPath], None]) -> None:
    shard = store.append(bottlenecks(range(20)))
    damage(shard)
    says = re.escape(f"{shard} is damaged (") + r"(?s:.*)Delete it and the folder manifests of its store"
    for use in (store.found, store.search, store.read):
        with pytest.raises(StoreError, match=says):
            use(keys(1))


def test_one_flipped_bit_of_a_vector_is_not_passed_on(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(4)))
    flip_a_bit(shard, 2)
    with pytest.raises(StoreError, match="is damaged"):
        store.read(keys(1))


def damaged_copies(good: bytes) -> Iterator[bytes]:
    """A file cut at many lengths, zeroed in many places, and with many single bits flipped, all headers' among them."""
    size = len(good)
    yield from (good[:length] for length in range(0, size, size // 40))
    yield from (good[:start] + bytes(64) + good[start + 64 :] for start in range(0, size - 64, size // 20))
    yield bytes(size)
    for place in (*range(0, size, 29), *range(size - 12, size)):
        for bit in (1, 16):
            yield good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :]


def test_whatever_is_damaged_of_a_shard_no_wrong_row_is_read(local_store: ShardStore) -> None:
    shard = local_store.append(bottlenecks(range(10), views=2))
    good = shard.read_bytes()
    copies = 0
    for copy in damaged_copies(good):
        if copy != good:
            shard.write_bytes(copy)
            copies += 1
            with pytest.raises(DamagedError) as caught:
                local_store.read(keys(*range(10)))
            assert caught.value.path == shard
    assert copies > 400
    shard.write_bytes(good)
    assert local_store.read(keys(*range(10))).num_rows == 20


@pytest.mark.parametrize("data", [b"", b"PAR1", b"<html>no shard</html>"])
def test_a_file_that_nobody_wrote_is_a_damaged_shard(store: ShardStore, data: bytes) -> None:
    store.append(bottlenecks(range(3)))
    foreign = store.folder / "part-0123456789abcdef.parquet"
    foreign.write_bytes(data)
    for use in (store.found, store.read):
        with pytest.raises(DamagedError) as caught:
            use(keys(1, 7))
        assert caught.value.path == foreign


def test_a_shard_with_another_name_than_its_bytes_have_is_damaged(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(3)))
    move(shard, shard.with_name("part-0123456789abcdef.parquet"))
    with pytest.raises(DamagedError, match="its bytes are not those that it is named after"):
        store.read(keys(0, 1))


def test_where_little_of_a_shard_is_read_it_is_not_hashed(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(20)))
    flip_a_bit(shard, 2)
    assert store.read(keys(19)).num_rows == 1, "the damage is in another row group"


def test_what_is_set_aside_is_no_shard(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(3)))
    move(shard, store.folder / "damaged" / shard.name)
    assert store.shards() == []
    assert store.read(keys(1)).num_rows == 0


def test_a_shard_that_is_gone_is_named(store: ShardStore) -> None:
    shard = store.append(bottlenecks(range(3)))
    remove_files([shard])
    with pytest.raises(StoreError, match=re.escape(f"{shard} is gone. Delete the folder manifests")):
        list(store.rows(keys(1), shards=[shard]))


def test_a_shard_of_other_columns_is_named_with_the_remedy(store: ShardStore) -> None:
    other = ShardStore(store.folder, REJECTED, 4).append(
        pa.table({"sha256": [key(1)], "path": ["a"], "reason": ["b"], "message": ["c"]})
    )
    for use in (store.found, store.search, store.read):
        with pytest.raises(StoreError, match=re.escape(f"{other} has other columns") + ".* Move it away"):
            use(keys(1))


def test_bottlenecks_of_another_width_are_other_columns(store: ShardStore) -> None:
    store.append(bottlenecks(range(3)))
    with pytest.raises(StoreError, match="other columns"):
        ShardStore(store.folder, bottleneck_schema(WIDTH + 1, "int16"), 4).read(keys(1))

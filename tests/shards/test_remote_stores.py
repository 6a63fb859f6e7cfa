"""Stores on an object store: the same rows as on a disk in few requests, whatever is gone, damaged or refused."""

import os
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from tasks.errors import MachineError
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.runtime.os_errors import explain_os_errors
from tasks.shards.compaction import run_compaction
from tasks.shards.manifests import read_manifest
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.quarantine import quarantine
from tasks.shards.store import ShardStore
from tasks.storage.errors import DamagedError
from tasks.storage.files import listed, storage_at
from tasks.storage.layout import manifest_path
from tasks.storage.tempfiles import own_scratch
from tests.shards.rows import bottlenecks, flip_a_bit, key, keys, open_store, publish_manifest, rows_at, rows_of
from tests.support.servers.gateway import Gateway, Outcome

SHARDS, EACH = 6, 8
ALL = range(SHARDS * EACH)


@pytest.fixture
def store(gateway: Gateway, far: AnyPath) -> ShardStore:
    """A store of six shards of eight rows, two row groups each."""
    assert gateway
    store = open_store(to_path(str(far)))
    for start in range(0, len(ALL), EACH):
        store.append(bottlenecks(range(start, start + EACH)))
    return store


def numbers_at(store: ShardStore, numbers: Sequence[int], shards: Sequence[AnyPath] | None = None) -> list[int]:
    return [number for number, _ in rows_at(store, numbers, shards)]


def cut_the_beginning(shard: AnyPath) -> None:
    shard.write_bytes(shard.read_bytes()[20:])


def test_no_file_stays_open_after_an_early_end_of_reading(store: ShardStore) -> None:
    opened = []
    for _ in range(4):
        assert next(iter(store.rows(keys(*ALL)))).num_rows
        assert next(store.opened()).shard == store.shards()[0]
        assert numbers_at(store, ALL) == list(ALL)
        opened.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 (their number)
    # The first time connections are made, which are kept.
    assert opened[-1] <= max(opened[:2]) + SHARDS
    assert not list(own_scratch().iterdir())


def test_reading_takes_a_few_requests_a_shard(store: ShardStore, gateway: Gateway) -> None:
    each = {"LIST": 1, "HEAD": SHARDS}
    uses: list[tuple[Callable[[], object], dict[str, int]]] = [
        (store.shards, {"LIST": 1}),
        (lambda: store.found(keys(*ALL)), {**each, "GET": 2 * SHARDS}),
        (lambda: numbers_at(store, ALL), {**each, "GET": 3 * SHARDS}),
        (lambda: numbers_at(store, range(0, 48, 8)), {**each, "GET": 3 * SHARDS}),
        (lambda: numbers_at(store, [0], store.shards()[:1]), {"LIST": 1, "HEAD": 1, "GET": 3}),
        (lambda: store.search(keys(*ALL)).update(), {**each, "LIST": 2, "GET": 2 * SHARDS}),
        (lambda: store.append(bottlenecks([99])), {"PUT": 1}),
    ]
    for use, takes in uses:
        with gateway.counting() as counted:
            use()
        assert counted == takes


def test_a_shard_that_was_merged_is_found_and_named_by_the_manifests(store: ShardStore) -> None:
    shards = store.shards()
    publish_manifest(store, "all", shards)
    run_compaction(store, len(ALL) // 2, NullProgress())
    assert len(store.shards()) == 2
    assert numbers_at(store, ALL, shards) == list(ALL)
    assert numbers_at(store, ALL) == list(ALL)
    assert set(read_manifest(manifest_path(store.folder, "all")).shards) == {shard.name for shard in store.shards()}


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (partial(flip_a_bit, column=2), ALL),
        (cut_the_beginning, range(0, 48, 8)),
        (lambda shard: shard.write_bytes(b""), ALL),
    ],
)
def test_a_damaged_shard_is_reported_and_quarantined(
    store: ShardStore, damage: Callable[[AnyPath], object], wanted: Sequence[int]
) -> None:
    shard = store.append(bottlenecks(range(EACH), first=1))
    for other in store.shards():
        if other != shard and 0 in [number for number, _ in rows_of(read_parquet(other, ["sha256", "view"]))]:
            storage_at(other).remove_files([other])
    naming = [publish_manifest(store, name, [shard]) for name in ("one", "two")]
    damage(shard)
    with pytest.raises(DamagedError, match=f"{shard.name} is damaged") as caught:
        numbers_at(store, wanted)
    assert quarantine(caught.value).endswith(f"It is now {shard.parent / 'damaged' / shard.name}, and is made again.")
    assert not any(path.exists() for path in (shard, *naming))
    assert [path.name for path in listed(store.folder / "damaged")] == [shard.name]
    assert numbers_at(store, wanted) == [number for number in wanted if number >= EACH]


def test_a_damaged_shard_is_not_merged(store: ShardStore) -> None:
    shards = store.shards()
    flip_a_bit(shards[-1], 2)
    with pytest.raises(DamagedError, match=shards[-1].name):
        run_compaction(store, 1000, NullProgress())
    assert store.shards() == shards
    assert not list(own_scratch().iterdir())


def test_a_shard_without_read_rights_does_not_count_as_damaged(store: ShardStore, gateway: Gateway) -> None:
    gateway.decide(lambda request: Outcome.FORBIDDEN if request.kind == "GET" else Outcome.PASSED)
    for wanted in (ALL, range(0, 48, 8)):
        with (
            pytest.raises(MachineError, match=r"object store cannot be used \(.*AccessDenied"),
            explain_os_errors("Training", store.folder),
        ):
            numbers_at(store, wanted)
    assert len(store.shards()) == SHARDS


def test_requests_to_a_busy_store_are_retried(store: ShardStore, gateway: Gateway) -> None:
    gateway.refuse(0.1)
    shard = store.append(bottlenecks([99]))
    assert numbers_at(store, [*ALL, 99]) == [*ALL, 99]
    run_compaction(store, 1000, NullProgress())
    assert store.found(keys(*ALL, 99)).all()
    assert shard not in store.shards()


def test_a_table_is_read_as_it_was_published(store: ShardStore, gateway: Gateway) -> None:
    path, table = store.folder / "table.parquet", bottlenecks(ALL, views=2).cast(store.schema)
    publish_parquet(path, table, rows_per_group=7)
    with gateway.counting() as counted:
        assert read_parquet(path).equals(table)
    assert counted == {"GET": 1}
    assert read_parquet(path, ["sha256"]).equals(table.select(["sha256"]))
    assert read_parquet(path, ["sha256"])[0][0].as_py() == key(0)

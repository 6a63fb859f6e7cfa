"""The arithmetic of a plan, with costs that can be worked out by hand."""

import json
from dataclasses import asdict, replace

import pytest

from tests.benchmarks.runs import COLD, NEW, NOTHING
from tests.benchmarks.sizing import (
    FOLDS,
    MAX_KEYS,
    RAY,
    Bound,
    Line,
    Machines,
    Prices,
    Slopes,
    estimate_run,
    find_bounds,
    fit_line,
    machines_for,
    make_plan,
)

SLOPES = Slopes(
    hashing=Line(0, 0.001),
    statistics=Line(0, 1e-4),
    parallel={"decode": Line(0, 0.01), "bottleneck": Line(16, 0.03)},
    serial={"walk": Line(0, 1e-6), FOLDS: Line(10, 1e-5)},
    startup=5.0,
    bytes={"photos": Line(0, 100_000), "bottlenecks": Line(1000, 10_000)},
    shards=Line(0, 0.003),
    shard_seconds=0.001,
    requests={
        COLD: {"GET": Line(100, 2), "PUT": Line(50, 0.01), "LIST": Line(1, 0.001)},
        NEW: {"GET": Line(100, 0.02), "DELETE": Line(10, 0)},
        NOTHING: {"LIST": Line(6, 0.001)},
    },
    base_memory=1e9,
    memory={"snapshot": Line(0, 1000), RAY: Line(0, 5000)},
    labels=5,
)
ONE = Machines(count=1, cores=16, memory=64e9, hours=8, prices=Prices(0.02, 0.005, 0.0004, 1))


def test_a_line_separates_the_cost_of_a_photo_from_that_of_a_start() -> None:
    assert fit_line({500: 15.0, 2000: 30.0}) == Line(10.0, 0.01)


def test_a_negative_slope_or_intercept_is_noise() -> None:
    assert fit_line({10: 3.0, 20: 2.0}) == Line(3.0, 0.0)
    assert fit_line({10: 1.0, 20: 3.0}) == Line(0.0, 0.2)


def test_the_hours_of_a_cold_run_are_those_of_all_cores_and_of_one_machine() -> None:
    million = estimate_run(SLOPES, ONE, 1_000_000, COLD)
    # Startup, 3,000 shards, hashing on 16 cores, statistics, walk, cross-validation.
    serial = 5 + 3 + 1000 / 16 + 100 + 1 + 20
    assert million.serial_hours * 3600 == pytest.approx(serial)
    assert million.hours * 3600 == pytest.approx(serial + (16 + 40_000) / 16)


def test_a_later_run_computes_the_new_photos_and_trains_on_all() -> None:
    later = estimate_run(SLOPES, ONE, 1_000_000, NEW)
    assert later.hours * 3600 == pytest.approx(5 + 3 + 10 / 16 + 1 + 1 + 20 + (16 + 400) / 16)


def test_more_machines_share_decode_and_bottleneck_only_at_the_same_cost() -> None:
    one, four = (estimate_run(SLOPES, replace(ONE, count=count), 1_000_000, COLD) for count in (1, 4))
    assert four.serial_hours == one.serial_hours
    assert four.hours - four.serial_hours == pytest.approx((one.hours - one.serial_hours) / 4)
    assert four.cost == pytest.approx(one.cost)


def test_requests_cost_by_kind_and_removing_is_free() -> None:
    prices = Prices(put_1000=0.005, get_1000=0.0004)
    counts = {"GET": 2000.0, "HEAD": 1000.0, "PUT": 1000.0, "LIST": 1000.0, "DELETE": 9e9}
    assert prices.requests(counts) == pytest.approx(3 * 0.0004 + 2 * 0.005)


def test_a_bound_reaches_as_far_as_it_allows() -> None:
    assert Bound("tens", lambda photos: 10 * photos, 95).reach() == 9
    assert Bound("nothing", lambda photos: photos + 1, 1).reach() == 0
    assert Bound("less than nothing", lambda photos: photos + 2, 1).reach() == 0


def test_the_lowest_bound_comes_first() -> None:
    bounds = find_bounds(SLOPES, ONE)
    assert list(bounds.values()) == sorted(bounds.values())
    by_name = {bound.name: reach for bound, reach in bounds.items()}
    assert by_name["keys in one column"] == MAX_KEYS == 33_554_431
    assert by_name["memory (snapshot)"] == 63_000_000
    assert next(iter(by_name)) == "hours of a cold run"


def test_blocks_for_a_cluster_take_memory_with_several_machines_only() -> None:
    one, two = ({bound.name for bound in find_bounds(SLOPES, replace(ONE, count=count))} for count in (1, 2))
    assert two - one == {f"memory ({RAY})"}


def test_few_photos_exceed_no_bound_and_need_nothing() -> None:
    few = make_plan(SLOPES, ONE, 10_000)
    assert (few.bound, few.turn_on) == (None, [])
    assert few.bytes == pytest.approx(10_000 * 110_000 + 1000)
    assert few.memory == pytest.approx(1e9 + 10_000 * 1000)


def test_many_photos_need_all_remedies() -> None:
    many = make_plan(SLOPES, replace(ONE, memory=1e12), 1_000_000_000)
    assert many.bound == "keys in one column"
    # 3,000,000 shards; 3.6 hours of cross-validation, walk and shards.
    assert many.turn_on[:2] == ["compact", "--folds 0"]
    # One column holds the keys of 33,554,431 photos.
    assert many.turn_on[-1] == "30 datasets"


def test_there_are_as_many_machines_as_finish_in_time() -> None:
    photos = 20_000_000
    count = machines_for(SLOPES, ONE, photos, datasets=1)
    enough, too_few = (estimate_run(SLOPES, replace(ONE, count=own), photos, COLD).hours for own in (count, count - 1))
    assert enough <= ONE.hours < too_few


def test_slopes_survive_json() -> None:
    assert Slopes.from_json(json.loads(json.dumps(asdict(SLOPES)))) == SLOPES

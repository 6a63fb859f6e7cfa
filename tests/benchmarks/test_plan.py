"""The arithmetic of a plan, on slopes whose figures can be worked out by hand."""

import json
from dataclasses import asdict, replace

import pytest

from tests.benchmarks.bounds import MOST_KEYS, Bound, bounds, machines_for, plan
from tests.benchmarks.sizing import COLD, FOLDS, NIGHT, NOTHING, RAY, Given, Line, Prices, Slopes, line, read, run

NONE = Line(0, 0)
SLOPES = Slopes(
    hashing=Line(0, 0.001),
    summed=Line(0, 1e-4),
    spread={"decode": Line(0, 0.01), "bottleneck": Line(16, 0.03)},
    alone={"walk": Line(0, 1e-6), FOLDS: Line(10, 1e-5)},
    startup=5.0,
    bytes={"photos": Line(0, 100_000), "bottlenecks": Line(1000, 10_000)},
    shards=Line(0, 0.003),
    shard_seconds=0.001,
    requests={
        COLD: {"GET": Line(100, 2), "PUT": Line(50, 0.01), "LIST": Line(1, 0.001)},
        NIGHT: {"GET": Line(100, 0.02), "DELETE": Line(10, 0)},
        NOTHING: {"LIST": Line(6, 0.001)},
    },
    base=1e9,
    memory={"snapshot": Line(0, 1000), RAY: Line(0, 5000)},
    labels=5,
)
GIVEN = Given(machines=1, cores=16, memory=64e9, hours=8, prices=Prices(0.02, 0.005, 0.0004, 1))


def test_a_line_tells_what_a_photo_adds_from_what_a_start_costs() -> None:
    assert line({500: 15.0, 2000: 30.0}) == Line(10.0, 0.01)


def test_a_fall_and_less_than_nothing_are_noise() -> None:
    assert line({10: 3.0, 20: 2.0}) == Line(3.0, 0.0)
    assert line({10: 1.0, 20: 3.0}) == Line(0.0, 0.2)


def test_the_hours_of_a_first_run_are_those_of_all_cores_and_of_one_machine_alone() -> None:
    million = run(SLOPES, GIVEN, 1_000_000, COLD)
    # Start, 3,000 shards, hashing on 16 cores, statistics, walk, cross-validation.
    alone = 5 + 3 + 1000 / 16 + 100 + 1 + 20
    assert million.alone * 3600 == pytest.approx(alone)
    assert million.hours * 3600 == pytest.approx(alone + (16 + 40_000) / 16)


def test_of_a_night_only_the_new_photos_are_worked_on_and_all_are_trained_on() -> None:
    night = run(SLOPES, GIVEN, 1_000_000, NIGHT)
    assert night.hours * 3600 == pytest.approx(5 + 3 + 10 / 16 + 1 + 1 + 20 + (16 + 400) / 16)


def test_more_machines_share_decode_and_bottleneck_and_nothing_else() -> None:
    one, four = (run(SLOPES, replace(GIVEN, machines=machines), 1_000_000, COLD) for machines in (1, 4))
    assert four.alone == one.alone
    assert four.hours - four.alone == pytest.approx((one.hours - one.alone) / 4)
    # As many machine hours cost as much.
    assert four.cost == pytest.approx(one.cost)


def test_requests_cost_by_kind_and_removing_is_free() -> None:
    prices = Prices(put_1000=0.005, get_1000=0.0004)
    counts = {"GET": 2000.0, "HEAD": 1000.0, "PUT": 1000.0, "LIST": 1000.0, "DELETE": 9e9}
    assert prices.requests(counts) == pytest.approx(3 * 0.0004 + 2 * 0.005)


def test_a_bound_reaches_as_far_as_what_it_allows() -> None:
    assert Bound("tens", lambda photos: 10 * photos, 95).reach() == 9
    assert Bound("nothing", lambda photos: photos + 1, 1).reach() == 0


def test_what_allows_fewest_photos_is_named_first() -> None:
    reaches = bounds(SLOPES, GIVEN)
    assert list(reaches.values()) == sorted(reaches.values())
    by_name = {bound.name: reach for bound, reach in reaches.items()}
    assert by_name["keys in one column"] == MOST_KEYS == 33_554_431
    assert by_name["memory (snapshot)"] == 63_000_000
    assert next(iter(by_name)) == "the first run in a night"


def test_what_goes_to_a_cluster_is_held_only_where_there_is_one() -> None:
    names = [{bound.name for bound in bounds(SLOPES, replace(GIVEN, machines=count))} for count in (1, 2)]
    assert names[1] - names[0] == {f"memory ({RAY})"}


def test_few_photos_are_bound_by_nothing_and_need_nothing() -> None:
    few = plan(SLOPES, GIVEN, 10_000)
    assert (few.bound, few.stays, few.turn_on) == (None, None, [])
    assert few.bytes == pytest.approx(10_000 * 110_000 + 1000)
    assert few.memory == pytest.approx(1e9 + 10_000 * 1000)


def test_many_photos_need_all_that_can_be_turned_on() -> None:
    many = plan(SLOPES, replace(GIVEN, memory=1e12), 1_000_000_000)
    assert (many.bound, many.stays) == ("the first run in a night", "keys in one column")
    # 3,000,000 shards; 3.6 hours of cross-validation and walk, and shards.
    assert many.turn_on[:2] == ["compact", "--folds 0"]
    # Rounded up: keys of 33,554,431 photos in one column.
    assert many.turn_on[-1] == "30 datasets"


def test_machines_are_as_many_as_finish_in_what_one_machine_alone_leaves_of_a_night() -> None:
    photos = 20_000_000
    machines = machines_for(SLOPES, GIVEN, photos, datasets=1)
    enough, too_few = (
        run(SLOPES, replace(GIVEN, machines=count), photos, COLD).hours for count in (machines, machines - 1)
    )
    assert enough <= GIVEN.hours < too_few


def test_slopes_are_read_again_as_they_were_written() -> None:
    assert read(json.loads(json.dumps(asdict(SLOPES)))) == SLOPES

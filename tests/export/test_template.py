"""Templates: where the numbers of a head are in a file, and how they are replaced."""

import numpy as np
import pytest

from tasks.export.template import fill_holes, find_holes, placeholder_head
from tasks.train.head import Head
from tasks.train.novelty import Background

LABELS = ("daisy", "roses", "tulips")


def head(seed: int) -> Head:
    random = np.random.default_rng(seed)
    layers = [random.normal(size=shape).astype(np.float32) for shape in ((8, 3), (3,), (3, 3), (3,))]
    return Head(LABELS, layers[0], layers[1], True, {}, Background(layers[2], layers[3]))


@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_of_a_head_are_found_in_either_order_and_replaced_and_nothing_else(transposed: bool) -> None:
    def file(own: Head) -> bytes:
        assert own.background is not None
        weights, squares = (each.T if transposed else each for each in (own.weights, own.background.weights))
        last = own.background.biases.tobytes() + squares.tobytes()
        return b"begin" + own.biases.tobytes() + b"between" + weights.tobytes() + b"end" + last

    blank = placeholder_head(head(1))
    holes = find_holes(file(blank), blank)
    assert [(hole.array, hole.transposed) for hole in holes] == [
        ("weights", transposed),
        ("biases", False),
        ("novelty_weights", transposed),
        ("novelty_biases", False),
    ]
    assert fill_holes(file(blank), holes, head(1)) == file(head(1))


def test_arrays_that_are_missing_or_twice_in_a_file_are_no_holes() -> None:
    blank = placeholder_head(head(1))
    arrays = [array.tobytes() for array in blank.arrays.values()]
    assert find_holes(b"".join(arrays)[:-1], blank) == []
    for number, array in enumerate(arrays):
        assert find_holes(b"".join(arrays[:number] + arrays[number + 1 :]), blank) == []
        assert find_holes(b"".join([*arrays, array]), blank) == []

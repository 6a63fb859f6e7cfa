"""Templates: where the numbers of a head are in a file, and how they are replaced."""

import numpy as np
import pytest

from tasks.export.template import fill_holes, find_holes, placeholder_head
from tasks.train.head import Head

LABELS = ("daisy", "roses", "tulips")


def head(seed: int) -> Head:
    random = np.random.default_rng(seed)
    weights, biases = (random.normal(size=shape).astype(np.float32) for shape in ((8, 3), (3,)))
    return Head(LABELS, weights, biases, True, {})


@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_of_a_head_are_found_in_either_order_and_replaced_and_nothing_else(transposed: bool) -> None:
    def file(own: Head) -> bytes:
        weights = own.weights.T if transposed else own.weights
        return b"begin" + own.biases.tobytes() + b"between" + weights.tobytes() + b"end"

    blank = placeholder_head(head(1))
    holes = find_holes(file(blank), blank)
    assert [(hole.array, hole.transposed) for hole in holes] == [("weights", transposed), ("biases", False)]
    assert fill_holes(file(blank), holes, head(1)) == file(head(1))


def test_arrays_that_are_missing_or_twice_in_a_file_are_no_holes() -> None:
    blank = placeholder_head(head(1))
    both = blank.weights.tobytes() + blank.biases.tobytes()
    assert find_holes(both[:-1], blank) == []
    assert find_holes(blank.weights.tobytes(), blank) == []
    assert find_holes(both + blank.biases.tobytes(), blank) == []

"""Coverage-guided fuzzing of the weights reader, by hand; needs `pip install atheris`.

    python -m tests.benchmarks.fuzz_weights FOLDER -max_total_time=1500

FOLDER keeps what reaches new code, and is gone on from the next time; the other arguments are libFuzzer's. An input's
first byte says which part of a valid file the others replace: a pickle, whose opcodes are cut, doubled and exchanged as
well as its bytes, the storages, or the whole file. A finding is any exception but `BackboneError`, an array that
reaches beyond the file, more than 5 s, or more than 512 MB.
"""

import importlib
import pickletools
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import BackboneError
from tests.backbone.torch_files import small_parts

#: What an input's first byte is taken modulo: the five pickles, the storages, the whole file.
_PARTS = 7


def seeds() -> list[bytes]:
    """The parts of a valid file, one input each, and the file as a whole."""
    parts = small_parts()
    return [bytes([place]) + part for place, part in enumerate([*parts, b"".join(parts)])]


def file_of(data: bytes) -> bytes:
    """The file that an input stands for."""
    place, parts = data[0] % _PARTS, small_parts()
    return data[1:] if place == len(parts) else b"".join([*parts[:place], data[1:], *parts[place + 1 :]])


def opcodes(pickled: bytes) -> list[bytes]:
    """Cut a pickle into its opcodes with their arguments; what cannot be read is one more at the end."""
    starts = [0]
    try:
        for _, _, place in pickletools.genops(pickled):
            starts.append(place or 0)
    except (ValueError, UnicodeDecodeError):
        pass
    return [pickled[start:end] for start, end in zip(starts, [*starts[1:], len(pickled)], strict=True) if start < end]


def shuffled(data: bytes, seed: int) -> bytes:
    """Cut, double, exchange or insert some opcodes of an input's pickle."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    steps = opcodes(data[1:])
    known = [step for part in small_parts()[:5] for step in opcodes(part)]
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(steps) + 1)
        change = draw.randrange(4)
        if change == 0:
            del steps[place : place + draw.randint(1, 3)]
        elif change == 1:
            steps[place:place] = steps[place : place + draw.randint(1, 6)]
        elif change == 2:
            steps[place : place + 1] = [draw.choice(known)]
        else:
            steps.insert(place, draw.choice(known))
    return data[:1] + b"".join(steps)


def check(read: Callable[[Path], Mapping[str, Any]], path: Path, data: bytes) -> None:
    """Read the file that an input stands for: either as arrays within the file, or not at all."""
    if not data:
        return
    content = file_of(data)
    path.write_bytes(content)
    try:
        arrays = read(path)
    except BackboneError:
        return
    for array in arrays.values():
        # Each value is looked at: one that lay outside of the file would be outside of the memory too.
        if array.nbytes > len(content) or not isinstance(array.sum().item(), (int, float)):
            raise AssertionError("an array is larger than the file")


def main() -> None:
    """Fuzz until libFuzzer's own limits, or a finding."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["tasks.backbone"]):
        from tasks.backbone.torch_weights import read_torch_weights  # noqa: PLC0415 (instrumented)

    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed = shuffled(data, seed) if data and data[0] % _PARTS < 5 and seed % 2 else atheris.Mutate(data, most)
        return bytes(changed[:most])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        options = ["-timeout=5", "-rss_limit_mb=512", "-max_len=4096"]
        atheris.Setup([*sys.argv, *options], lambda data: check(read_torch_weights, path, data), custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

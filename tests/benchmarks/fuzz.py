"""Coverage-guided fuzzing of the photo decoder and of the weights reader; needs `pip install atheris`.

    nice python -m tests.benchmarks.fuzz decode FOLDER -max_total_time=1500 -rss_limit_mb=1500 -timeout=40
    nice python -m tests.benchmarks.fuzz weights FOLDER -max_total_time=1500 -rss_limit_mb=512 -timeout=5

FOLDER keeps the inputs that reach new code, and the next call continues from them. The arguments after it are
libFuzzer's. It ends at the first finding, and writes its bytes to `crash-*`, `timeout-*` or `oom-*`: an exception other
than `Rejected` or `BackboneError`, an array that is larger than its file, or an input that takes too long or too much
memory. A fixed one becomes a case of `tests.decode.corpus` or `tests/backbone`. Pillow's codecs in C are reached, but
guide nothing.

The first byte of an input for the weights reader selects the part of a valid file that the other bytes replace: one of
its five pickles, whose opcodes are also cut, doubled and exchanged, its storages, or the whole file.
"""

import importlib
import pickletools
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.backbone.torch_files import small_parts

_PICKLES, _PARTS = 5, 7


def fuzz_decode(atheris: Any, folder: Path) -> None:
    with atheris.instrument_imports(include=["PIL", "tasks.decode"]):
        from PIL import Image  # noqa: PLC0415 (instrumented)

        Image.init()  # imports the formats, as Pillow does with the first photo
        from tasks.decode.images import decode_photo  # noqa: PLC0415 (instrumented)
        from tasks.decode.rejections import Rejected  # noqa: PLC0415 (instrumented)
    from tests.decode.corpus import MAX_PIXELS, corpus  # noqa: PLC0415 (imports instrumented modules)
    from tests.decode.drawing import EXACT  # noqa: PLC0415 (likewise)

    def decode(data: bytes) -> None:
        try:
            decode_photo(data, EXACT, MAX_PIXELS)
        except Rejected:
            return

    for case in () if any(folder.iterdir()) else corpus():
        (folder / case.name).write_bytes(case.data)
    atheris.Setup(sys.argv, decode)


def fuzz_weights(atheris: Any, folder: Path) -> None:
    with atheris.instrument_imports(include=["tasks.backbone"]):
        from tasks.backbone.torch_weights import read_torch_weights  # noqa: PLC0415 (instrumented)
    from tasks.errors import BackboneError  # noqa: PLC0415 (the class that the reader raises)

    path = Path(tempfile.mkdtemp()) / "weights.pth"

    def read(data: bytes) -> None:
        path.write_bytes(file_of(data))
        try:
            arrays = read_torch_weights(path)
        except BackboneError:
            return
        for array in arrays.values():
            # Reads each value: one outside of the file would be outside of the memory too.
            if array.nbytes > path.stat().st_size or not isinstance(array.sum().item(), (int, float)):
                raise AssertionError("an array is larger than the file")

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        is_pickle = data and data[0] % _PARTS < _PICKLES
        return bytes((change_opcodes(data, seed) if is_pickle and seed % 2 else atheris.Mutate(data, size))[:size])

    for number, part in enumerate([*small_parts(), b"".join(small_parts())]):
        (folder / f"seed-{number}").write_bytes(bytes([number]) + part)
    atheris.Setup([*sys.argv, "-max_len=4096"], read, custom_mutator=mutate)


def file_of(data: bytes) -> bytes:
    parts, place = small_parts(), (data or b"\0")[0] % _PARTS
    return data[1:] if place == len(parts) else b"".join([*parts[:place], data[1:], *parts[place + 1 :]])


def split_opcodes(pickled: bytes) -> list[bytes]:
    """Split a pickle into its opcodes with their arguments; an unreadable rest is one more."""
    starts = [0]
    with suppress(ValueError, UnicodeDecodeError):
        for _, _, place in pickletools.genops(pickled):
            starts.append(place or 0)
    return [pickled[start:end] for start, end in zip(starts, [*starts[1:], len(pickled)], strict=True) if start < end]


def change_opcodes(data: bytes, seed: int) -> bytes:
    """Cut, double, exchange or insert some opcodes of an input's pickle."""
    source = random.Random(seed)  # noqa: S311 (no secret)
    steps = split_opcodes(data[1:])
    known = [step for part in small_parts()[:_PICKLES] for step in split_opcodes(part)]
    for _ in range(source.randint(1, 4)):
        place, length = source.randrange(len(steps) + 1), source.randint(1, 4)
        removed, new = source.choice(
            [(length, []), (0, steps[place : place + length]), (1, [source.choice(known)]), (0, [source.choice(known)])]
        )
        steps[place : place + removed] = new
    return data[:1] + b"".join(steps)


def main() -> None:
    """Fuzz a target until a finding or a limit of libFuzzer."""
    target, folder = sys.argv.pop(1), Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    atheris = importlib.import_module("atheris")  # no dependency, and it has no types
    {"decode": fuzz_decode, "weights": fuzz_weights}[target](atheris, folder)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

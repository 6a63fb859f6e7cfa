"""Looks for bytes that `decode_photo` neither makes a picture of nor rejects, guided by what code they reach.

    pip install atheris
    nice -n 19 python -m tests.benchmarks.fuzz_decode FOLDER -max_total_time=1500 -rss_limit_mb=1500 -timeout=40

It begins with the files of `tests.decode.corpus`, and goes on with what it finds of interest, which it keeps in FOLDER.
All that follows FOLDER is libFuzzer's: it ends at the first finding, an exception, a photo that takes too long or too
much memory, and writes its bytes to `crash-*`, `timeout-*` or `oom-*`. What is mended becomes a case of
`tests.decode.corpus`.

Guided are Pillow's Python parts and ours. Its codecs in C are reached, but not seen.
"""

import importlib
import sys
from pathlib import Path

atheris = importlib.import_module("atheris")  # no dependency, and it has no types

with atheris.instrument_imports(include=["PIL", "tasks.decode"]):
    from PIL import Image

    Image.init()  # imports the formats, which Pillow would do when it opens the first photo
    from tasks.decode.images import decode_photo
    from tasks.decode.rejections import Rejected
from tests.decode.corpus import MAX_PIXELS, corpus  # noqa: E402 (what it imports must be watched by then)
from tests.decode.drawing import EXACT  # noqa: E402 (as above)


def decode(data: bytes) -> None:
    """Decode bytes; all but a picture or a rejection is raised."""
    try:
        decode_photo(data, EXACT, MAX_PIXELS)
    except Rejected:
        return


def main() -> None:
    """Write the first files where there are none yet, and look for others until the time is up."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        for case in corpus():
            (folder / case.name).write_bytes(case.data)
    atheris.Setup(sys.argv, decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Photos with all of their pixels that Pillow refuses, and what is wrong with photos that are used."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.decode import jpeg2000, png_chunks
from tasks.file_types import JPEG, JPEG_2000, PNG, image_format


class Flaw(StrEnum):
    """What is wrong with a photo that is used all the same: counted, and named in the manifest of the decode stage."""

    NO_END_MARKER = "no_end_marker"
    BAD_CHECKSUM = "bad_checksum"
    SKIPPED_CHUNK = "skipped_chunk"
    LOW_VALUES = "low_values"


#: Photos that are named, of those with flaws.
_EXAMPLES = 10


@dataclass(frozen=True)
class Flawed:
    """The photos with flaws, of those decoded by a run.

    Args:
        photos: How many there are.
        kinds: How many have each flaw.
        examples: Paths of some.
    """

    photos: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Flawed") -> "Flawed":
        """The photos of both."""
        kinds = dict(Counter(self.kinds) + Counter(other.kinds))
        return Flawed(self.photos + other.photos, kinds, (*self.examples, *other.examples)[:_EXAMPLES])

    @classmethod
    def of(cls, path: str, flaws: tuple[Flaw, ...]) -> "Flawed":
        """One photo, or none where it has no flaws."""
        return cls(1, dict.fromkeys(map(str, flaws), 1), (path,)) if flaws else cls()


NONE_FLAWED = Flawed()


def tell_flawed(flawed: Mapping[str, Any]) -> str:
    """Say it in a sentence.

    Args:
        flawed: A `Flawed` as a manifest has it.
    """
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(flawed["kinds"].items()))
    return (
        f"Decoded although something is wrong with the file: {flawed['photos']:,} "
        f"{'photo' if flawed['photos'] == 1 else 'photos'} ({kinds}), such as {', '.join(flawed['examples'][:3])}"
    )


def find_flaws(data: bytes) -> tuple[Flaw, ...]:
    """Look at a PNG for what Pillow passes over: a missing end marker, and checksums of what is not the picture."""
    if image_format(data) is not PNG:
        return ()
    chunks = list(png_chunks.read_chunks(data))
    is_damaged = any(not chunk.is_picture and not chunk.is_intact(data) for chunk in chunks)
    is_ended = bool(chunks) and chunks[-1].kind == png_chunks.END
    flaws = {Flaw.NO_END_MARKER: not is_ended, Flaw.BAD_CHECKSUM: is_damaged}
    return tuple(flaw for flaw, is_there in flaws.items() if is_there)


def repairs(data: bytes) -> Iterator[tuple[bytes, tuple[Flaw, ...]]]:
    """Make files of one that Pillow refuses that it may take; each has all of the picture.

    Args:
        data: The file.

    Yields:
        A file, and the flaws that it does not have any more; what changes least comes first.
    """
    found = image_format(data)
    if found is PNG:
        yield png_chunks.without(data, lambda chunk: not chunk.is_intact(data)), ()
        # A profile that cannot be read is passed over in other formats too.
        yield png_chunks.without(data, lambda chunk: not _tells_orientation(chunk, data)), (Flaw.SKIPPED_CHUNK,)
    elif found is JPEG:
        from tasks.decode.jpeg_end import with_end_marker  # noqa: PLC0415 (numpy, which few photos need)

        whole = with_end_marker(data)
        if whole is not None:
            yield whole, (Flaw.NO_END_MARKER,)
    elif found is JPEG_2000:
        codestream = jpeg2000.read_codestream(data)
        if codestream.complete and not codestream.ended:
            yield data[: codestream.end] + jpeg2000.END, (Flaw.NO_END_MARKER,)


def _tells_orientation(chunk: png_chunks.Chunk, data: bytes) -> bool:
    return chunk.kind == b"eXIf" and chunk.is_intact(data)

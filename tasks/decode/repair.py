"""Repairs files that have all of their pixels but that Pillow refuses, and finds damage that Pillow ignores."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.decode import jpeg2000, png_chunks
from tasks.file_types import JPEG, JPEG_2000, PNG, image_format


class Flaw(StrEnum):
    """Damage of a photo that is decoded nevertheless; the stage's manifest counts it."""

    NO_END_MARKER = "no_end_marker"
    BAD_CHECKSUM = "bad_checksum"
    SKIPPED_CHUNK = "skipped_chunk"
    LOW_VALUES = "low_values"


#: Photos with flaws that are listed by path.
_EXAMPLES = 10


@dataclass(frozen=True)
class Flawed:
    """The photos with flaws that a run decoded: their number, also by flaw, and the paths of some of them."""

    photos: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Flawed") -> "Flawed":
        """Combine the photos of both."""
        kinds = dict(Counter(self.kinds) + Counter(other.kinds))
        return Flawed(self.photos + other.photos, kinds, (*self.examples, *other.examples)[:_EXAMPLES])

    @classmethod
    def of(cls, path: str, flaws: tuple[Flaw, ...]) -> "Flawed":
        """Count one photo, which has flaws."""
        return cls(1, dict.fromkeys(map(str, flaws), 1), (path,))


NONE_FLAWED = Flawed()


def tell_flawed(flawed: Mapping[str, Any]) -> str:
    """Describe the photos with flaws, a `Flawed` as a manifest stores it, in a sentence."""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(flawed["kinds"].items()))
    return (
        f"Decoded although something is wrong with the file: {flawed['photos']:,} "
        f"{'photo' if flawed['photos'] == 1 else 'photos'} ({kinds}), such as {', '.join(flawed['examples'][:3])}"
    )


def find_flaws(data: bytes) -> tuple[Flaw, ...]:
    """Find damage of a PNG that Pillow ignores: a missing end marker, and wrong checksums beside the pixels."""
    if image_format(data) is not PNG:
        return ()
    chunks = list(png_chunks.read_chunks(data))
    is_damaged = any(not chunk.is_picture and not chunk.is_intact(data) for chunk in chunks)
    is_ended = bool(chunks) and chunks[-1].kind == png_chunks.END
    return (*([] if is_ended else [Flaw.NO_END_MARKER]), *([Flaw.BAD_CHECKSUM] if is_damaged else []))


def repairs(data: bytes) -> Iterator[tuple[bytes, tuple[Flaw, ...]]]:
    """Repair a file that Pillow refuses without loss of pixels; yields files and removed flaws, least changed first."""
    found = image_format(data)
    if found is PNG:
        yield png_chunks.without(data, lambda chunk: not chunk.is_intact(data)), ()
        # An unreadable profile is ignored in other formats too.
        without = png_chunks.without(data, lambda chunk: chunk.kind != b"eXIf" or not chunk.is_intact(data))
        yield without, (Flaw.SKIPPED_CHUNK,)
    elif found is JPEG:
        from tasks.decode.jpeg_end import with_end_marker

        whole = with_end_marker(data)
        if whole is not None:
            yield whole, (Flaw.NO_END_MARKER,)
    elif found is JPEG_2000:
        codestream = jpeg2000.read_codestream(data)
        if codestream.complete and not codestream.ended:
            yield data[: codestream.end] + jpeg2000.END, (Flaw.NO_END_MARKER,)

"""Why a photo has no picture: the reason codes, and how a file that Pillow does not know is named."""

from enum import StrEnum
from typing import NamedTuple

from tasks.errors import PipelineError
from tasks.file_types import WEBP, image_format

#: Raised when photos are used that were rejected before: what was rejected by earlier rules is tried once more.
RULES = 2


class Reason(StrEnum):
    """The fixed codes in the column `reason`.

    Those up to `TOO_LARGE` say something about the bytes: they are kept in the rejected store. All but that one are the
    photo's fate in every run of the same `RULES`. What is too large for one run may be small enough for the next, which
    has another cap; its header alone tells, so each run looks again. Those from `KILLED` on say something about the
    file or the machine just now: they are kept nowhere, and tried again in the next run.
    """

    EMPTY = "empty"
    UNKNOWN_FORMAT = "unknown_format"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    TOO_LARGE = "too_large"
    KILLED = "killed"
    VANISHED = "vanished"
    UNREADABLE = "unreadable"
    CHANGED = "changed"

    @property
    def about_bytes(self) -> bool:
        """Whether the photo's bytes are the reason."""
        return self not in (Reason.KILLED, Reason.VANISHED, Reason.UNREADABLE, Reason.CHANGED)

    @property
    def by_rules(self) -> bool:
        """Whether other `RULES` may let the photo in."""
        return self in (Reason.UNKNOWN_FORMAT, Reason.UNSUPPORTED_FORMAT, Reason.TRUNCATED, Reason.DAMAGED)

    @property
    def lasting(self) -> bool:
        """Whether trying again is of no use, whatever cap the next run has."""
        return self.about_bytes and self is not Reason.TOO_LARGE


class Rejection(NamedTuple):
    """Why one photo has no picture, as a value that can be kept and sent.

    Args:
        reason: The code.
        message: The cause and the remedy, for a person who has the photo's path beside it.
    """

    reason: Reason
    message: str


class MissingPhoto(NamedTuple):
    """A wanted photo without a picture, as reports and errors list it.

    Args:
        path: Its path within the dataset.
        reason: The code.
        message: The cause and the remedy.
    """

    path: str
    reason: str
    message: str


CHANGED = Rejection(
    Reason.CHANGED, "The file was changed after the snapshot. Run again for today, which takes a new snapshot."
)


def unread(exc: OSError) -> Rejection:
    """Say why a photo's file cannot be read."""
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        return Rejection(
            Reason.VANISHED, "The file is no longer there. Run again for today, which takes a new snapshot."
        )
    return Rejection(Reason.UNREADABLE, f"The file cannot be read ({exc.strerror or exc}). Mend that and run again.")


class Rejected(PipelineError):  # noqa: N818 - a row of the rejected store rather than an error of the run
    """A photo that no picture can be made of.

    Args:
        reason: The code.
        message: The cause and the remedy, for a person who has the photo's path beside it.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(reason, message)


def unidentified(data: bytes) -> Rejected:
    """Say why Pillow found no photo in the bytes, by how they start."""
    found = image_format(data)
    if found and found.pillow:
        return Rejected(
            Reason.DAMAGED,
            f"It starts like a {found.name} file, but its header is damaged or cut short. Copy it again or delete it.",
        )
    other = "PDF" if data.startswith(b"%PDF") else "video or other ISO media" if data[4:8] == b"ftyp" else None
    unsupported = found.name if found else other
    if unsupported:
        return Rejected(
            Reason.UNSUPPORTED_FORMAT, f"It is a {unsupported} file, which is not read here. Convert it to JPEG or PNG."
        )
    return Rejected(
        Reason.UNKNOWN_FORMAT,
        "Its content is no photo: neither JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000 nor PBM, PGM or PPM, whatever its "
        "name says. Delete it.",
    )


def is_short_webp(data: bytes) -> bool:
    """Whether the bytes are a WebP file that is longer by its own account; its decoder does not say what is wrong."""
    return image_format(data) is WEBP and int.from_bytes(data[4:8], "little") + 8 > len(data)

"""Reasons why a photo has no picture."""

from enum import StrEnum
from typing import NamedTuple

from tasks.errors import PipelineError
from tasks.file_types import WEBP, image_format

#: Version of the rules. Increase it when photos are accepted that were rejected before; these are then tried again.
RULES = 2


class Reason(StrEnum):
    """The codes in the column `reason`.

    Codes up to `TOO_LARGE` describe the photo's bytes and are kept in the rejected store. They hold for every run with
    the same `RULES`, except `TOO_LARGE`: the next run may have a higher cap, so each run reads the header again. Codes
    from `KILLED` on describe the file or the machine at the moment. They are not stored, and the next run tries these
    photos again.
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
        """Whether the reason is in the photo's bytes."""
        return self not in (Reason.KILLED, Reason.VANISHED, Reason.UNREADABLE, Reason.CHANGED)

    @property
    def by_rules(self) -> bool:
        """Whether other `RULES` may accept the photo."""
        return self in (Reason.UNKNOWN_FORMAT, Reason.UNSUPPORTED_FORMAT, Reason.TRUNCATED, Reason.DAMAGED)

    @property
    def lasting(self) -> bool:
        """Whether the photo is rejected in every run with the same `RULES`, whatever the cap."""
        return self.about_bytes and self is not Reason.TOO_LARGE


class Rejection(NamedTuple):
    """The reason why a photo has no picture; the message is shown beside the photo's path."""

    reason: Reason
    message: str


class MissingPhoto(NamedTuple):
    """A photo without a picture, as reports and errors list it; its path is within the dataset."""

    path: str
    reason: str
    message: str


CHANGED = Rejection(
    Reason.CHANGED, "The file was changed after the snapshot. Run again for today, which takes a new snapshot."
)


def unread(exc: OSError) -> Rejection:
    """Return the rejection of a photo whose file cannot be read."""
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        return Rejection(
            Reason.VANISHED, "The file is no longer there. Run again for today, which takes a new snapshot."
        )
    return Rejection(Reason.UNREADABLE, f"The file cannot be read ({exc.strerror or exc}). Mend that and run again.")


class Rejected(PipelineError):  # noqa: N818 - a row of the rejected store rather than an error of the run
    """The photo cannot be decoded."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(reason, message)


def unidentified(data: bytes) -> Rejected:
    """Return the rejection of a file that Pillow does not identify, by its first bytes."""
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
    """Whether a WebP file is shorter than its header says; the decoder does not report that."""
    return image_format(data) is WEBP and int.from_bytes(data[4:8], "little") + 8 > len(data)

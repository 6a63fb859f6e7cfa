"""Fetch a file by its URL: whole and verified, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tasks.download.partial import Origin, Partial, open_partial
from tasks.download.retry_policy import FetchError, RetryPolicy
from tasks.download.transfer import Transfer
from tasks.download.urls import redact_url, url_identity
from tasks.errors import DownloadError, MachineError, StoreError
from tasks.keys import file_sha256
from tasks.progress import Progress
from tasks.storage.files import publish_json, read_json


@dataclass(frozen=True)
class Expected:
    """Facts about a file before it is fetched, and remedies."""

    size: int | None = None  #: Its bytes.
    sha256: str | None = None  #: The hash of its bytes, 64 lower-case hex digits.
    accept_remedy: str = "give its size and hash in data/catalog.toml"  #: How to accept another file as the right one.
    #: Follows the remedy "put the file at ..." where the file cannot be fetched.
    alternative: str = " or use --dataset sample"
    #: Where no hash is known, checks the new file, with its URL for the error, before it replaces an older one; raises
    #: DownloadError.
    verify: Callable[[Path, str], None] | None = None
    #: Whether results of a file with a hash are there, so that the file itself is not needed.
    is_used_up: Callable[[str], bool] = lambda _: False


class FetchedFile(NamedTuple):
    """A verified file: its path (where it was, if it is used up), its size, and the sha256 of its bytes."""

    path: Path
    size: int
    sha256: str


class _State(NamedTuple):
    """The JSON beside a fetched file."""

    file: FetchedFile
    origin: Origin


def fetch(
    url: str,
    path: Path,
    expected: Expected,
    progress: Progress,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> FetchedFile:
    """Fetch a file, if it is not there already.

    A file at `path` with the expected hash is taken without a request, and so is one that a person put there (no
    `<name>.json` is beside it) if no hash is expected. A file that an earlier fetch brought is requested again only if
    no hash is expected, and only a changed one is sent. New bytes are kept in `<name>.part` until they are verified; a
    file that was at `path` stays until then.

    Raises:
        DownloadError: The file could not be fetched, or is not the expected one.
        MachineError: The disk has no room, or cannot be written to.
        StoreError: The state beside the file is damaged.
    """
    try:
        with open_partial(path) as partial:
            state = _read_state(path)
            present = _find_present(path, expected, state)
            if present and (state is None or present.sha256 == expected.sha256):
                return present
            unchanged = state and present == state.file and state.origin.url == url_identity(url)
            conditions = state.origin.conditions if state and unchanged else {}
            origin = Transfer(url, partial, expected.size, progress, policy).run(conditions)
            if origin is None and present:
                return present
            return _publish(partial, path, expected, origin or Origin(url_identity(url), None, None), redact_url(url))
    except FetchError as exc:
        remedy = f"{exc.remedy} {_remedy(path, expected)}"
        raise DownloadError(f"{redact_url(url)} could not be fetched ({exc}). {remedy}") from exc
    except OSError as exc:
        raise MachineError(
            f"{path} could not be written ({exc.strerror or exc}). Make room for it or mend the folder's rights, and "
            "run again: the bytes that have come are kept."
        ) from exc


def local_file(path: Path) -> FetchedFile:
    """Hash a file that was not fetched."""
    return FetchedFile(path, path.stat().st_size, file_sha256(path))


def state_path(path: Path) -> Path:
    """Return the path of the state of a fetched file."""
    return path.with_name(f"{path.name}.json")


def _find_present(path: Path, expected: Expected, state: _State | None) -> FetchedFile | None:
    """Return the file that is there, if it is as expected; or its state, if the file is used up."""
    if state and expected.sha256 in {None, state.file.sha256} and expected.is_used_up(state.file.sha256):
        return state.file
    if not path.is_file() or expected.size not in {None, path.stat().st_size}:
        return None
    present = local_file(path)
    return present if expected.sha256 in {None, present.sha256} else None


def _publish(partial: Partial, path: Path, expected: Expected, origin: Origin, url: str) -> FetchedFile:
    partial.flush()
    fetched = FetchedFile(path, partial.size, file_sha256(partial.path))
    try:
        _verify(partial.path, fetched, expected, url)
    except DownloadError:
        partial.clear()
        raise
    # The state goes first: a crash between the two leaves a state of another file, which makes the next run ask again,
    # and never a file without a state, which would count as put there by a person.
    version = {"url": origin.url, "etag": origin.etag, "last_modified": origin.last_modified}
    publish_json(state_path(path), {**version, "sha256": fetched.sha256, "size": fetched.size})
    partial.publish(path)
    return fetched


def _verify(part: Path, fetched: FetchedFile, expected: Expected, url: str) -> None:
    wrong = None
    if expected.size not in {None, fetched.size}:
        wrong = f"it has {fetched.size:,} bytes, expected are {expected.size:,}"
    elif expected.sha256 not in {None, fetched.sha256}:
        wrong = f"its sha256 is {fetched.sha256}, expected is {expected.sha256}"
    if wrong:
        raise DownloadError(
            f"{url} is not the expected file: {wrong}. Run again in case it was damaged on its way; if the server has "
            f"a new version that you trust, {expected.accept_remedy}, or put the right file at {fetched.path}."
        )
    if expected.verify and expected.sha256 is None:
        expected.verify(part, url)


def _read_state(path: Path) -> _State | None:
    state = state_path(path)
    if not state.is_file():
        return None
    try:
        values = dict(read_json(state))
        file = FetchedFile(path, values.pop("size"), values.pop("sha256"))
        return _State(file, Origin(**values, total=file.size))
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{state} is damaged ({exc}). Delete it; the next run writes it again.") from exc


def _remedy(path: Path, expected: Expected) -> str:
    remedy = (
        "and run again, the bytes that have come are kept; without internet, put the file at "
        f"{path}{expected.alternative}."
    )
    if not path.is_file():
        return remedy
    if expected.sha256:
        return (
            f"{remedy} The file that is there now has another size or sha256 than the expected {expected.sha256}; "
            f"if it is the right one, {expected.accept_remedy}."
        )
    return f"{remedy} To go on with the file that is there now, delete {state_path(path).name} beside it."

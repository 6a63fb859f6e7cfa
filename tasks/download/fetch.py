"""Fetch a file by its URL: whole and verified, or not at all."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.download.partial import Origin, Partial, partial_of
from tasks.download.responses import FetchError
from tasks.download.retry_policy import RetryPolicy
from tasks.download.transfer import Transfer
from tasks.download.urls import identity, shown
from tasks.errors import DownloadError, MachineError, StoreError
from tasks.keys import file_sha256
from tasks.progress import Progress
from tasks.storage.files import publish_json, read_json

__all__ = ["Expected", "Fetched", "RetryPolicy", "fetch", "file_at", "state_of"]


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched.

    Args:
        size: Its bytes.
        sha256: The hash of its bytes, 64 lower-case hex digits.
        amend: What to do where another file is the right one.
        otherwise: What to do where the file cannot be had at all, following "put the file there".
        check: Where no hash is known, is given what came and its URL, as it may be shown, before it takes the place of
            what is there; raises DownloadError where it is of no use.
        made: Whether what is made of a file of that hash is there, so that the file itself is not needed.
    """

    size: int | None = None
    sha256: str | None = None
    amend: str = "give its size and hash in data/catalog.toml"
    otherwise: str = " or use --dataset sample"
    check: Callable[[Path, str], None] | None = None
    made: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True)
class Fetched:
    """A file that is there, verified.

    Args:
        path: Where it is; if what is made of it is there, where it was.
        size: Its bytes.
        sha256: The hash of its bytes.
        etag: The server's name of this version; None where the server gave none or was not asked.
        last_modified: When the server says that the file changed; None likewise.
    """

    path: Path
    size: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class _State:
    """What an earlier fetch wrote beside its file; it and `origin` are as in `Fetched` and `Origin`."""

    url: str
    etag: str | None
    last_modified: str | None
    sha256: str
    size: int

    @property
    def origin(self) -> Origin:
        """Which version of the file on the server it is about."""
        return Origin(self.url, self.etag, self.last_modified, self.size)


def fetch(
    url: str,
    path: Path,
    expected: Expected,
    progress: Progress,
    patience: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> Fetched:
    """Fetch a file, if it is not there already.

    A file at `path` with the expected hash is taken without asking the server, and so is one that a person put there
    (no `<name>.json` is beside it) if no hash is expected. A file that an earlier fetch brought is asked for again only
    if no hash is expected, and only a changed one is sent. What comes is kept in `<name>.part` until it is verified; a
    file that was at `path` stays until then.

    Args:
        url: Where the file is.
        path: Where it is to be; folders above it are made.
        expected: Its size and hash, as far as they are known.
        progress: Is told of the bytes as they come.
        patience: How long to keep trying.

    Raises:
        DownloadError: The server could not be had, or the file is not the expected one.
        MachineError: The disk has no room, or cannot be written to.
        StoreError: The state beside the file is damaged.
    """
    try:
        with partial_of(path) as partial:
            state = _read_state(path)
            present = _present(path, expected, state)
            if present and _settled(present, expected, state):
                return present
            conditions = _conditions(present) if state and state.url == identity(url) else {}
            origin = Transfer(url, partial, expected.size, progress).run(patience, conditions)
            if origin is None and present:
                return present
            return _publish(partial, path, expected, origin or Origin(identity(url), None, None), shown(url))
    except FetchError as exc:
        remedy = f"{exc.remedy} {_remedy(path, expected)}"
        raise DownloadError(f"{shown(url)} could not be fetched ({exc}). {remedy}") from exc
    except OSError as exc:
        raise MachineError(
            f"{path} could not be written ({exc.strerror or exc}). Make room for it or mend the folder's rights, and "
            "run again: what has come already is kept."
        ) from exc


def file_at(path: Path) -> Fetched:
    """A file that nobody fetched."""
    return Fetched(path, path.stat().st_size, file_sha256(path))


def state_of(path: Path) -> Path:
    """Where a fetch keeps what it knows of its file."""
    return path.with_name(f"{path.name}.json")


def _present(path: Path, expected: Expected, state: _State | None) -> Fetched | None:
    """The file that is there, with what is known of it, if it is as expected; or that what is made of it is there."""
    if state and expected.sha256 in {None, state.sha256} and expected.made(state.sha256):
        return Fetched(path, state.size, state.sha256, state.origin.etag, state.origin.last_modified)
    if not path.is_file() or expected.size not in {None, path.stat().st_size}:
        return None
    present = file_at(path)
    if expected.sha256 not in {None, present.sha256}:
        return None
    if state and state.sha256 == present.sha256:
        return Fetched(path, present.size, present.sha256, state.origin.etag, state.origin.last_modified)
    return present


def _settled(present: Fetched, expected: Expected, state: _State | None) -> bool:
    """Whether the file that is there is taken without asking the server."""
    return expected.sha256 == present.sha256 or state is None


def _conditions(present: Fetched | None) -> dict[str, str]:
    """Headers that make the server send the file only if it is another version than ours."""
    conditions = {}
    if present and present.etag:
        conditions["If-None-Match"] = present.etag
    if present and present.last_modified:
        conditions["If-Modified-Since"] = present.last_modified
    return conditions


def _publish(partial: Partial, path: Path, expected: Expected, origin: Origin, url: str) -> Fetched:
    size, sha256 = partial.size, file_sha256(partial.flushed())
    wrong = None
    if expected.size not in {None, size}:
        wrong = f"it has {size:,} bytes, expected are {expected.size:,}"
    elif expected.sha256 not in {None, sha256}:
        wrong = f"its sha256 is {sha256}, expected is {expected.sha256}"
    if wrong:
        partial.clear()
        raise DownloadError(
            f"{url} is not the file that it should be: {wrong}. Run again in case it was damaged on its way; if "
            f"the server has a new version that you trust, {expected.amend}, or put the right file at {path}."
        )
    if expected.check is not None and expected.sha256 is None:
        try:
            expected.check(partial.flushed(), url)
        except DownloadError:
            partial.clear()
            raise
    # The state goes first: a crash between the two leaves a state of another file, which makes the next run ask again,
    # and never a file without a state, which would count as put there by a person.
    publish_json(state_of(path), asdict(_State(origin.url, origin.etag, origin.last_modified, sha256, size)))
    partial.publish(path)
    return Fetched(path, size, sha256, origin.etag, origin.last_modified)


def _read_state(path: Path) -> _State | None:
    state = state_of(path)
    if not state.is_file():
        return None
    try:
        found = _State(**read_json(state))
        # Says whether each value is of its kind.
        _ = found.origin
        return found
    except TypeError as exc:
        raise StoreError(f"{state} is damaged ({exc}). Delete it; the next run writes it again.") from exc


def _remedy(path: Path, expected: Expected) -> str:
    remedy = (
        f"and run again, what has come already is kept; without internet, put the file at {path}{expected.otherwise}."
    )
    if not path.is_file():
        return remedy
    if expected.sha256:
        return (
            f"{remedy} The file that is there now has another size or sha256 than the expected {expected.sha256}; "
            f"if it is the right one, {expected.amend}."
        )
    return f"{remedy} To go on with the file that is there now, delete {state_of(path).name} beside it."

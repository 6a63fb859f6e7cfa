"""The option that says which data root a verb is asked about, here or on an object store."""

from typing import Annotated

import typer

from tasks.errors import SettingError
from tasks.paths import to_path
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

#: The option as every verb has it.
DataRootOption = Annotated[
    str,
    typer.Option(
        metavar="FOLDER",
        help="Folder of everything that the stages write; s3://, gs:// or az://<bucket>/<folder> is one on an object "
        "store.",
    ),
]
DEFAULT = "data"


def open_root(text: str, *, there: bool = True) -> DataRoot:
    """The data root that an option names.

    Args:
        text: What was given.
        there: Whether a folder of this machine has to be there. Of an object store nobody knows without asking, and
            what is looked for in it says so.

    Raises:
        typer.BadParameter: It cannot be one.
    """
    try:
        path = to_path(text)
    except SettingError as exc:
        raise typer.BadParameter(str(exc), param_hint="--data-root") from exc
    if there and storage_at(path).has_folders:
        if not path.exists():
            raise typer.BadParameter(f"Directory {text!r} does not exist.", param_hint="--data-root")
        if not path.is_dir():
            raise typer.BadParameter(f"Directory {text!r} is a file.", param_hint="--data-root")
    return DataRoot(path)

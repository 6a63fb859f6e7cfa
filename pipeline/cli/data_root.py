"""The option for the data root of a verb, on this machine or on an object store."""

from typing import Annotated

import typer

from tasks.errors import SettingError
from tasks.paths import to_path
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

#: The option of every verb.
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

    A folder of this machine has to exist, unless it need not be `there`. An object store is not asked: errors follow
    where it is read.

    Raises:
        typer.BadParameter: The value is no data root.
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

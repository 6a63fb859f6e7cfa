"""`python -m pipeline export`: write the files of a model for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.cli_errors import report_errors
from pipeline.cli.data_root import DEFAULT, DataRootOption, open_root
from tasks.errors import ModelError
from tasks.predict.models import find_model
from tasks.progress import LiveLine
from tasks.storage.files import publish_folder
from tasks.storage.layout import DataRoot

HELP = (
    "Write the files of an exported model: SavedModel, Keras, LiteRT and OpenVINO.",
    "MODEL is the key of a head or network, its folder (data/train/<key>), the record of a run, or the name of a "
    "dataset, which means its champion, whose files are in data/serving/<dataset>/current too. FOLDER must not exist, "
    "or be empty. The run that trained the model has tested these files, unless it had --export none.",
    "The exit code is 0, or 1 if the model has no export or a file is damaged.",
    "Examples:",
    "  python -m pipeline export flowers-1f0a2b3c exported",
    "  python -m pipeline export f3a84dc1f927e478 exported",
)


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A key, a folder, a run's record, or a dataset.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write.")],
    *,
    data_root: DataRootOption = DEFAULT,
) -> None:
    """Write the files of an exported model."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{str(folder)!r} exists and is no empty folder.", param_hint="FOLDER")
    with report_errors():
        try:
            place = find_model(model, open_root(data_root))
        except ModelError as exc:
            raise typer.BadParameter(str(exc), param_hint="MODEL") from exc
        from tasks.export.files import write_export

        with LiveLine("export") as progress, publish_folder(folder.absolute()) as written:
            if not write_export(place.name, DataRoot.above(place), written, progress):
                raise ModelError(
                    f"The model {place.name} has no export: its run had --export none, refused the export, or has not "
                    "ended. Run it again with --export all."
                )
            names = sorted(path.name for path in written.iterdir() if not path.name.startswith("."))
    typer.echo(f"{folder}: {', '.join(names)}")

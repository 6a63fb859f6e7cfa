"""What goes wrong, as the user is told of it, and the exit code that a run ends with.

    PipelineError                 a sentence that names the thing, the cause and the remedy
    ├── SettingError        51    a parameter's value that cannot be
    ├── DatasetError        52    the photos: missing, too few, too many rejected, too many gone
    ├── DownloadError       53    the network, a file's length or hash, an archive's members
    ├── BackboneError       54    weights that are missing, damaged or of another model
    ├── StoreError          55    a file of the data root that is damaged or of another version
    ├── MachineError        56    a disk that is full, read-only or broken; memory that is short
    ├── ModelError          57    a trained model that is missing, or whose export says something else
    └── ModelRejectedError        58    a new model that is not good enough

The task layer shows these without a traceback; every other exception is a bug, keeps its own, and ends with 30.
"""

from typing import ClassVar

#: The exit code of what is nobody's mistake but ours; also Luigi's own for a task that failed.
BUG = 30


class PipelineError(Exception):
    """Base of all errors that a user can mend; its text is shown as it is, without a traceback."""

    exit_code: ClassVar[int] = BUG


class SettingError(PipelineError):
    """A parameter has a value that cannot be."""

    exit_code = 51


class DatasetError(PipelineError):
    """The photos are missing, too few for a class, too many of them were rejected, or too many are gone."""

    exit_code = 52


class DownloadError(PipelineError):
    """A file could not be fetched, or is not the file that it should be."""

    exit_code = 53


class BackboneError(PipelineError):
    """A backbone's weights are missing, damaged, or belong to another network."""

    exit_code = 54


class StoreError(PipelineError):
    """A file below the data root is damaged or was written by another version."""

    exit_code = 55


class MachineError(PipelineError):
    """The machine cannot go on: its disk is full, read-only or broken, or its memory is short."""

    exit_code = 56


class ModelError(PipelineError):
    """A trained model is missing or incomplete, or what it was exported as does not say what it says."""

    exit_code = 57


class ModelRejectedError(PipelineError):
    """A new model is not good enough: worse than the champion, or below the accuracy that was asked for."""

    exit_code = 58

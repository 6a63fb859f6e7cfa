"""Errors that a user can correct, and the exit codes of a run that ends with them.

    PipelineError                 base: its message names the thing, the cause and the remedy
    ├── SettingError        51    a parameter has a wrong value
    ├── DatasetError        52    photos are missing, too few, or too many were rejected or are gone
    ├── DownloadError       53    a download failed, or the file is not the expected one
    ├── BackboneError       54    weights are missing, damaged or of another model
    ├── StoreError          55    a file of the data root is damaged or of another version
    ├── MachineError        56    a disk is full, read-only or broken; memory is short; a service is away
    ├── ModelError          57    a trained model is missing, or its export disagrees with it
    └── ModelRejectedError  58    a new model is not good enough

Luigi's program logs these without a traceback, unless `--log-level` is DEBUG. Any other exception is a bug: it keeps
its traceback and ends the run with 30.
"""

from collections.abc import Sequence
from typing import ClassVar

#: Exit code of a bug in this project; also Luigi's own for a failed task.
BUG = 30


class PipelineError(Exception):
    """Base of all errors that a user can correct; the message is shown without a traceback."""

    exit_code: ClassVar[int] = BUG


class SettingError(PipelineError):
    """A parameter has a wrong value."""

    exit_code = 51


class DatasetError(PipelineError):
    """Photos are missing or too few for a label, or too many were rejected or are gone."""

    exit_code = 52


class DownloadError(PipelineError):
    """A file could not be downloaded, or is not the expected one."""

    exit_code = 53


class BackboneError(PipelineError):
    """A backbone's weights are missing, damaged, or belong to another network."""

    exit_code = 54


class StoreError(PipelineError):
    """A file below the data root is damaged or was written by another version."""

    exit_code = 55


class MachineError(PipelineError):
    """A disk is full, read-only or broken, memory is short, or a store, scheduler or cluster does not answer."""

    exit_code = 56


class ModelError(PipelineError):
    """A trained model is missing or incomplete, or its export disagrees with it."""

    exit_code = 57


class ModelRejectedError(PipelineError):
    """A new model is worse than the champion, or below the required accuracy."""

    exit_code = 58


def first_of(names: Sequence[str], most: int) -> str:
    """List the first names for a message, and count the others: `a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"

"""What goes wrong, as the user is told of it.

    PipelineError                 a sentence that names the thing, the cause and the remedy
    ├── SettingError              a parameter's value that cannot be
    ├── DatasetError              the photos: missing, too few, too many rejected
    ├── DownloadError             the network, a file's length or hash, an archive's members
    ├── BackboneError             weights that are missing, damaged or of another model
    ├── StoreError                a file of the data root that is damaged or of another version
    ├── ModelError                a trained model that is missing, or whose export says something else
    └── VerdictError              a new model that is not good enough

The task layer shows these without a traceback; every other exception is a bug and keeps its own.
"""


class PipelineError(Exception):
    """Base of all errors that a user can mend; its text is shown as it is, without a traceback."""


class SettingError(PipelineError):
    """A parameter has a value that cannot be."""


class DatasetError(PipelineError):
    """The photos are missing, too few for a class, or too many of them were rejected."""


class DownloadError(PipelineError):
    """A file could not be fetched, or is not the file that it should be."""


class BackboneError(PipelineError):
    """A backbone's weights are missing, damaged, or belong to another network."""


class StoreError(PipelineError):
    """A file below the data root is damaged or was written by another version."""


class ModelError(PipelineError):
    """A trained model is missing or incomplete, or what it was exported as does not say what it says."""


class VerdictError(PipelineError):
    """A new model is not good enough: worse than the champion, or below the accuracy that was asked for."""

"""Files that the user gave to runs: photos, archives, models and weights, which are never removed."""

from collections.abc import Mapping
from contextlib import suppress

from tasks.catalog import local_path
from tasks.errors import SettingError
from tasks.paths import AnyPath, is_remote_text, to_path


class UserFiles:
    """Files and folders that the user gave to runs."""

    def __init__(self) -> None:
        self._paths: set[AnyPath] = set()

    def add(self, location: str, parameters: Mapping[str, str]) -> None:
        """Add the dataset, by its path or URL, and the backbones and the weights that a run's parameters name."""
        backbone = parameters.get("backbone", "")
        # A + either joins backbones or is part of a path; a record does not tell which.
        for text in dict.fromkeys((location, backbone, *backbone.split("+"), parameters.get("weights", ""))):
            if is_remote_text(text):
                # A path in an object store that is not used here is in no data root of ours.
                with suppress(SettingError):
                    self._paths.add(to_path(text))
            elif (path := local_path(text)) is not None:
                self._paths.add(path.resolve())

    def inside(self, path: AnyPath) -> AnyPath | None:
        """Find a file or folder of the user that is at a path or below it; None where there is none."""
        real = f"{path.resolve()}/"
        return next((own for own in self._paths if f"{own}/".startswith(real)), None)

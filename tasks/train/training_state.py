"""The state of a training, for the training itself and for processes that watch it."""

from dataclasses import asdict, dataclass
from enum import Enum, auto

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.settings import settings_from
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import listed, publish_json, read_json, storage_at
from tasks.train.settings import FinetuneSettings, TrainSettings

ANNOUNCEMENT = "training.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainingContext:
    """The surroundings of a training."""

    progress: Progress  #: Counts the steps or photos, and tells scores on the way.
    #: Folder of the checkpoints, from which an interrupted training resumes; None writes none.
    checkpoints: AnyPath | None = None


@dataclass(frozen=True)
class Training:
    """A training, as it announces itself in its folder."""

    settings: TrainSettings | FinetuneSettings  #: Settings of the head or network.
    snapshot: str  #: Key of the snapshot whose photos it is trained on.


class TrainingState(Enum):
    """State of a training."""

    PENDING = auto()
    RUNNING = auto()
    ENDED = auto()
    INTERRUPTED = auto()


def announce(training: Training, folder: AnyPath) -> None:
    """Write the settings and the snapshot of a training into its folder, which must be locked."""
    values = {"schema_version": SCHEMA_VERSION, "snapshot": training.snapshot, "settings": asdict(training.settings)}
    publish_json(folder / ANNOUNCEMENT, values)


def read_announced(folder: AnyPath) -> Training | None:
    """Read the announcement of the training in a folder; None where no training has begun.

    Raises:
        StoreError: The announcement is damaged or of another version.
    """
    try:
        values = read_json(folder / ANNOUNCEMENT)
    except FileNotFoundError:
        return None
    try:
        training = settings_from(Training, {name: values[name] for name in ("settings", "snapshot")})
        if folder.name not in training.settings.readable_keys(training.snapshot):
            raise ValueError("its key is another one")
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(
            f"{folder / ANNOUNCEMENT} was not written by this version ({exc}). Start the run again that trained it: "
            "this version trains another model. Where the folder is damaged, delete it first."
        ) from exc
    return training


def state_of(folder: AnyPath) -> TrainingState:
    """Return the state of the training in a folder."""
    # In this order: a training announces itself after it took the lock, and publishes its head before it releases it.
    names = {path.name for path in listed(folder)}
    if "manifest.json" in names:
        return TrainingState.ENDED
    if storage_at(folder).is_locked(folder):
        return TrainingState.RUNNING
    if "head.json" in names or (folder / "head.json").is_file():
        return TrainingState.ENDED
    return TrainingState.INTERRUPTED if ANNOUNCEMENT in names else TrainingState.PENDING

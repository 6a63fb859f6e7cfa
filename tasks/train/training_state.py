"""A training that is underway: what it says of itself to whoever watches, and how it stands."""

from dataclasses import asdict, dataclass
from enum import Enum, auto

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.settings import settings_from
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.storage.files import listed, publish_json, read_json
from tasks.storage.locks import is_locked
from tasks.train.settings import FinetuneSettings, TrainSettings

ANNOUNCEMENT = "training.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Training:
    """What is being trained.

    Args:
        settings: How.
        snapshot: Key of the snapshot whose photos it is trained on.
    """

    settings: TrainSettings | FinetuneSettings
    snapshot: str


class TrainingState(Enum):
    """How a training stands."""

    AHEAD = auto()
    UNDERWAY = auto()
    ENDED = auto()
    BROKEN_OFF = auto()


def announce(training: Training, folder: AnyPath) -> None:
    """Say what is being trained in a folder; call it when the folder is locked."""
    told = {"schema_version": SCHEMA_VERSION, "snapshot": training.snapshot, "settings": asdict(training.settings)}
    publish_json(folder / ANNOUNCEMENT, told)


def read_announced(folder: AnyPath) -> Training | None:
    """Read what is being trained, or was, in a folder; None where no training has begun.

    Raises:
        StoreError: What is there is damaged or of another version.
    """
    try:
        told = read_json(folder / ANNOUNCEMENT)
    except FileNotFoundError:
        return None
    try:
        training = settings_from(Training, {name: told[name] for name in ("settings", "snapshot")})
        if training.settings.key(training.snapshot) != folder.name:
            raise ValueError("its key is another one")
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(
            f"{folder / ANNOUNCEMENT} was not written by this version ({exc}). Start the run again that trained it: "
            "this version trains another model. Where the folder is damaged, delete it first."
        ) from exc
    return training


def state_of(folder: AnyPath) -> TrainingState:
    """Look how the training in a folder stands."""
    # In this order: a training announces itself after it took the lock, and keeps its head before it gives it back.
    there = {path.name for path in listed(folder)}
    if "manifest.json" in there:
        return TrainingState.ENDED
    if is_locked(folder):
        return TrainingState.UNDERWAY
    if "head.json" in there or (folder / "head.json").is_file():
        return TrainingState.ENDED
    return TrainingState.BROKEN_OFF if ANNOUNCEMENT in there else TrainingState.AHEAD

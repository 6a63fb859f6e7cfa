"""The file that names the champion of a dataset."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.champion.decision import Decision
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import publish_json, read_json

_PLAIN = ("evaluation", "snapshot", "run", "test", "decided")


@dataclass(frozen=True)
class Champion:
    """The champion of a dataset."""

    model: str  #: Key of the model.
    since: dt.date  #: Date since which it has been champion.
    evaluation: str  #: Key of its evaluation, which holds its predictions.
    snapshot: str  #: Key of the snapshot that it was trained on.
    run: str  #: The run that made it champion.
    test: Mapping[str, Any]  #: Photos, accuracy and interval on the test split of that snapshot.
    decided: str  #: Key of the decision that made it champion.
    decision: Decision  #: That decision.


def read_champion(path: AnyPath) -> Champion | None:
    """Read the champion; None if there is none.

    Raises:
        StoreError: The file is damaged or of another version.
    """
    try:
        values = read_json(path)
    except FileNotFoundError:
        return None
    try:
        if values["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"it has schema version {values['schema_version']}")
        return Champion(
            model=values["champion"],
            since=dt.date.fromisoformat(values["since"]),
            decision=Decision.from_json(values["decision"]),
            **{name: values[name] for name in _PLAIN},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} names no champion of this version ({exc!r}). Delete it and run again.") from exc


def publish_champion(path: AnyPath, dataset: str, champion: Champion) -> None:
    """Publish the champion of the dataset of this name."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "dataset": dataset,
        "champion": champion.model,
        "since": champion.since.isoformat(),
        **{name: getattr(champion, name) for name in _PLAIN},
        "decision": champion.decision.to_json(),
    }
    publish_json(path, values)

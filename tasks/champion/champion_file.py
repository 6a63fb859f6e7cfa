"""The champion of a dataset: the small file that says which model it is, and why."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.champion.decision import Decision
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.storage.files import publish_json, read_json


@dataclass(frozen=True)
class Champion:
    """The champion of a dataset.

    Args:
        model: Its key.
        since: The date from which it has been it.
        evaluation: Key of its evaluation, which has its predictions.
        snapshot: Key of the snapshot that it was trained on.
        run: The run that made it champion.
        test: Photos, accuracy and interval on the test split of that snapshot.
        decided: Key of the decision that made it champion.
        decision: That decision.
    """

    model: str
    since: dt.date
    evaluation: str
    snapshot: str
    run: str
    test: Mapping[str, Any]
    decided: str
    decision: Decision


def read_champion(path: AnyPath) -> Champion | None:
    """Read who is champion; None where there is none.

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
            **{name: values[name] for name in ("evaluation", "snapshot", "run", "test", "decided")},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} names no champion of this version ({exc!r}). Delete it and run again.") from exc


def publish_champion(path: AnyPath, dataset: str, champion: Champion) -> None:
    """Write who is champion.

    Args:
        path: Where.
        dataset: Name of the dataset.
        champion: Who.
    """
    publish_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "dataset": dataset,
            "champion": champion.model,
            "since": champion.since.isoformat(),
            "evaluation": champion.evaluation,
            "snapshot": champion.snapshot,
            "run": champion.run,
            "test": dict(champion.test),
            "decided": champion.decided,
            "decision": champion.decision.to_json(),
        },
    )

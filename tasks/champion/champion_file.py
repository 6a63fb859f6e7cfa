"""The file that names the champion of a dataset."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tasks.champion.decision import Decision
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.shards.manifests import SCHEMA_VERSION
from tasks.storage.files import publish_json, read_json

#: Number of predecessors that a champion can be rolled back to; garbage collection keeps their models.
PREDECESSORS = 3
#: The cause by which a model is champion: a run, or the order of a person.
Cause = Literal["run", "rollback", "promotion", "pin"]
#: Number of orders that the file keeps, the newest, and of models that were rolled back.
_KEPT = 100
_PLAIN = ("evaluation", "snapshot", "run", "test", "decided")


@dataclass(frozen=True)
class ChampionOrder:
    """An order of a person about the champion."""

    time: dt.datetime  #: Time of the order.
    order: Literal["rollback", "promotion", "pin", "unpin"]
    model: str  #: Key of the champion after it.
    former: str | None  #: Key of the champion before it, which may be the same; None if there was none.

    def __str__(self) -> str:
        """The order as a sentence."""
        day = f"on {self.time.date()}"
        if self.order == "rollback":
            return f"A person rolled the champion back from {self.former} to {self.model} {day}."
        done = {"promotion": "promoted", "pin": "pinned", "unpin": "unpinned"}[self.order]
        place = f", in the place of {self.former}" if self.former not in (self.model, None) else ""
        return f"A person {done} {self.model} {day}{place}."


@dataclass(frozen=True)
class Champion:
    """The champion of a dataset."""

    model: str  #: Key of the model.
    since: dt.date  #: Date since which it has been champion.
    evaluation: str  #: Key of its evaluation, which holds its predictions.
    snapshot: str  #: Key of the snapshot that it was trained on.
    run: str  #: The run that made it champion.
    test: Mapping[str, Any]  #: Figures on the test split of that snapshot, as `headline_figures` returns them.
    decided: str  #: Key of the decision of a run that made it champion; empty if a person did.
    decision: Decision  #: The decision that made it champion.
    cause: Cause = "run"  #: The cause by which it is champion.
    pinned: dt.date | None = None  #: Date since which it is pinned, so that no run replaces it; None if it is not.
    former: "tuple[Champion, ...]" = ()  #: Its predecessors, the last one last.
    rolled_back: tuple[str, ...] = ()  #: Keys of models that only a person makes champion again.
    orders: tuple[ChampionOrder, ...] = ()  #: Orders of persons, the newest last.

    def succeeded_by(self, new: "Champion") -> "Champion":
        """The champion that takes the place of this one, with its predecessors and the orders so far."""
        own = replace(self, former=(), rolled_back=(), orders=(), pinned=None)
        former = (*self.former, own)[-PREDECESSORS:]
        return replace(new, former=former, rolled_back=self.rolled_back, orders=self.orders)


def headline_figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a champion from its metrics: photos, accuracy and interval; of a head also without duplicates.

    `given_splits` is true if the dataset gives the test split, and otherwise left out.
    """
    test = {name: metrics["test"][name] for name in ("photos", "accuracy", "interval")}
    test |= {"given_splits": True} if metrics.get("given_splits") else {}
    without = metrics.get("test_without_near_duplicates")
    return {**test, "without_near_duplicates": without} if without else test


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
        # Files of an earlier version of this project lack predecessors and orders.
        orders = [{**order, "time": dt.datetime.fromisoformat(order["time"])} for order in values.get("orders", ())]
        pinned = values.get("pinned")
        return replace(
            _read_own(values),
            pinned=dt.date.fromisoformat(pinned) if pinned else None,
            former=tuple(_read_own(former) for former in values.get("former", ())),
            rolled_back=tuple(values.get("rolled_back", ())),
            orders=tuple(ChampionOrder(**order) for order in orders),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{path} names no champion of this version ({exc!r}). Delete it and run again.") from exc


def publish_champion(path: AnyPath, dataset: str, champion: Champion) -> None:
    """Publish the champion of the dataset of this name."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "dataset": dataset,
        **_own_values(champion),
        "pinned": champion.pinned.isoformat() if champion.pinned else None,
        "former": [_own_values(former) for former in champion.former],
        "rolled_back": champion.rolled_back[-_KEPT:],
        "orders": [{**vars(order), "time": order.time.isoformat()} for order in champion.orders[-_KEPT:]],
    }
    publish_json(path, values)


def _read_own(values: Mapping[str, Any]) -> Champion:
    """Read a champion without its predecessors."""
    return Champion(
        model=values["champion"],
        since=dt.date.fromisoformat(values["since"]),
        decision=Decision.from_json(values["decision"]),
        cause=values.get("cause", "run"),
        **{name: values[name] for name in _PLAIN},
    )


def _own_values(champion: Champion) -> dict[str, Any]:
    return {
        "champion": champion.model,
        "since": champion.since.isoformat(),
        **{name: getattr(champion, name) for name in _PLAIN},
        "decision": champion.decision.to_json(),
        "cause": champion.cause,
    }

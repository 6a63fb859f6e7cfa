"""Orders of persons about the champion of a dataset: rollback, promotion, pin and unpin."""

import datetime as dt
from dataclasses import fields, replace
from typing import Literal

from tasks.champion.champion_file import Champion, ChampionOrder, headline_figures, publish_champion, read_champion
from tasks.champion.decision import Decision
from tasks.errors import ModelError
from tasks.evaluate.settings import EvaluateSettings
from tasks.predict.models import read_model
from tasks.settings import settings_from
from tasks.shards.manifests import Manifest, find_manifest
from tasks.storage.files import is_folder, listed, lock_folder, read_each, sweep
from tasks.storage.layout import DataRoot

#: The orders by which a person makes a model champion.
Promotion = Literal["promotion", "pin"]


def roll_back(champion: Champion) -> Champion:
    """The champion after a rollback: the last predecessor. No run makes the present champion champion again.

    Raises:
        ModelError: It is pinned, or has no predecessor.
    """
    _check_not_pinned(champion)
    if not champion.former:
        raise ModelError(f"{champion.model} has no predecessor to roll back to. Promote a model with --promote.")
    former = champion.former[-1]
    restored = replace(
        former,
        since=_now().date(),
        cause="rollback",
        decided="",
        former=champion.former[:-1],
        rolled_back=(*(key for key in champion.rolled_back if key != former.model), champion.model),
        orders=champion.orders,
    )
    return _ordered(restored, "rollback", champion)


def promote(champion: Champion | None, model: Champion, order: Promotion) -> Champion:
    """The champion after the promotion of a model, by an order of its own or by that to pin it.

    A champion stays as it is, so that a promotion that was killed can be completed.

    Raises:
        ModelError: Another model is pinned.
    """
    if champion is None:
        return _ordered(model, order, None)
    if champion.model == model.model:
        return champion
    _check_not_pinned(champion)
    promoted = champion.succeeded_by(model)
    promoted = replace(promoted, rolled_back=tuple(key for key in champion.rolled_back if key != model.model))
    return _ordered(promoted, order, champion)


def pin(champion: Champion | None, model: Champion) -> Champion:
    """The champion after a model was pinned, which becomes champion if it is not.

    Raises:
        ModelError: The present champion is pinned.
    """
    if champion is None or champion.model != model.model:
        pinned = promote(champion, model, "pin")
    else:
        _check_not_pinned(champion)
        pinned = _ordered(champion, "pin", champion)
    return replace(pinned, pinned=_now().date())


def unpin(champion: Champion) -> Champion:
    """The champion that later runs may replace again.

    Raises:
        ModelError: It is not pinned.
    """
    if not champion.pinned:
        raise ModelError(f"The champion {champion.model} is not pinned.")
    return replace(_ordered(champion, "unpin", champion), pinned=None)


def find_evaluated(key: str, order: Promotion, dataset: str, root: DataRoot) -> Champion:
    """The model of a key as a champion by a person's order, with the figures of its last evaluation on a dataset.

    It is a predecessor of the champion, or a run has decided on it.

    Raises:
        ModelError: No run of the dataset has evaluated it.
        StoreError: The file that names the champion is damaged.
    """
    today, champion = _now().date(), read_champion(root.champion(dataset))
    for former in reversed(champion.former if champion else ()):
        if former.model == key:
            return replace(former, since=today, cause=order, decided="")
    for decision in filter(None, read_each(find_manifest, listed(root.decisions(dataset), "*.json"), root.path)):
        evaluation = _evaluation(decision, root) if decision.details.get("model") == key else None
        if evaluation is None:
            continue
        return Champion(
            model=key,
            since=today,
            evaluation=evaluation.key,
            snapshot=decision.snapshot,
            run=decision.run,
            test=headline_figures(evaluation.details),
            decided="",
            decision=Decision("new", key, key, None, today, "A person made the model champion.", None),
            cause=order,
        )
    raise ModelError(
        f"No run of {dataset} in {root.path} has evaluated the model {key}. Name a model that python -m pipeline "
        f"history {dataset} lists."
    )


def _evaluation(decision: Manifest, root: DataRoot) -> Manifest | None:
    """The manifest of the evaluation that a decision is on; None if it is gone or of an earlier version."""
    try:
        own = {field.name: decision.settings[field.name] for field in fields(EvaluateSettings)}
        key = settings_from(EvaluateSettings, own).key(decision.snapshot)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return find_manifest(root.evaluate(key) / "manifest.json")


def check_complete(champion: Champion, root: DataRoot) -> None:
    """Check that a model and its evaluation, with which later models are compared, are there.

    Raises:
        ModelError: A part is missing.
        StoreError: The model is damaged or of another version.
    """
    try:
        read_model(root.train(champion.model))
        if not is_folder(root.evaluate(champion.evaluation)):
            raise ModelError(f"Its evaluation {root.evaluate(champion.evaluation)} is gone. Run again on its photos.")
    except ModelError as exc:
        raise ModelError(f"{champion.model} cannot become champion. {exc}") from exc


def publish_order(root: DataRoot, dataset: str, before: Champion | None, after: Champion) -> None:
    """Publish the champion after an order; a run that decides on the dataset is waited for.

    Args:
        root: The data root.
        dataset: Name of the dataset.
        before: The champion that the order was given on.
        after: The champion after it.

    Raises:
        ModelError: Another champion was chosen meanwhile.
        StoreError: The file that names the champion is damaged.
    """
    path = root.champion(dataset)
    with lock_folder(root.decisions(dataset)):
        sweep(path.parent)
        now = read_champion(path)
        if now != before:
            raise ModelError(
                f"The champion has changed meanwhile, to {now.model if now else 'none'}. Look at it, and give the "
                "order again."
            )
        publish_champion(path, dataset, after)


def _check_not_pinned(champion: Champion) -> None:
    if champion.pinned:
        raise ModelError(
            f"The champion {champion.model} has been pinned since {champion.pinned}. Unpin it first, with --unpin."
        )


def _ordered(
    after: Champion, order: Literal["rollback", "promotion", "pin", "unpin"], before: Champion | None
) -> Champion:
    """A champion with one more order."""
    given = ChampionOrder(_now(), order, after.model, before.model if before else None)
    return replace(after, orders=(*after.orders, given))


def _now() -> dt.datetime:
    """The time here, with the offset of its zone."""
    return dt.datetime.now().astimezone().replace(microsecond=0)

"""Decisions to be made: a new model beside a champion."""

import datetime as dt

from tasks.champion.champion_predictions import ChampionInputs
from tasks.champion.decide import DecisionInputs
from tasks.champion.policy import Candidate
from tasks.paths import AnyPath
from tasks.storage.files import publish_json, read_json
from tasks.storage.layout import DataRoot
from tasks.train.training_state import ANNOUNCEMENT
from tests.support.data_root import DATASET, DAY, SNAPSHOT_KEY, TEST
from tests.train.examples import BOTTLENECK


def outdate(root: DataRoot, key: str) -> None:
    """Make a model one of an earlier version of this project."""
    path = root.train(key) / ANNOUNCEMENT
    training = read_json(path)
    training["settings"]["bottleneck"] = training["settings"].pop("bottlenecks")[0]
    publish_json(path, training)


def case(model: str, key: str = "key", date: dt.date = DAY, min_accuracy: float = 0.0) -> DecisionInputs:
    """Return a new model with the evaluation `now`."""
    new = Candidate(model, date, 0.75, min_accuracy)
    return DecisionInputs(key, DATASET, "run", SNAPSHOT_KEY, "now", TEST, new)


def inputs(root: DataRoot, folder: AnyPath | None = None) -> ChampionInputs:
    """Return the inputs of a comparison with the backbone of the drawn bottlenecks."""
    weights = {BOTTLENECK.backbone.weights_sha256: root.path / "weights"}
    return ChampionInputs(root, folder or root.path / "photos", weights)

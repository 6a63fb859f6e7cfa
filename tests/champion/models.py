"""Models and what they said of photos, laid out as the stages leave them, without any training."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import ChampionInputs
from tasks.champion.decide import DecisionInputs
from tasks.champion.decision import Decision
from tasks.champion.policy import Candidate
from tasks.paths import AnyPath
from tasks.shards.manifests import Manifest
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import PREDICTIONS
from tasks.storage.files import publish_json, read_json
from tasks.storage.layout import DataRoot
from tasks.train.head import Head, save_head
from tasks.train.settings import TrainSettings
from tasks.train.training_state import ANNOUNCEMENT, Training, announce
from tests.bottleneck.pictures import key_of
from tests.train.examples import BOTTLENECK, settings

LABELS = ("daisy", "roses", "tulips")
DAY = dt.date(2026, 11, 20)
TEST = {"photos": 4, "accuracy": 0.75, "interval": {"low": 0.3, "high": 0.95, "confidence": 0.95}}
DATASET = "flowers"

#: What is said of photos that are only numbers: label, prediction, split.
Said = Mapping[int, tuple[str, str, str]]


def say(root: DataRoot, evaluation: str, said: Said) -> None:
    """Publish what a model says of photos."""
    rows = [
        {
            "sha256": key_of(number),
            "path": f"{label}/{number}.png",
            "label": label,
            "predicted": predicted,
            "probabilities": [1.0],
            "split": split,
        }
        for number, (label, predicted, split) in sorted(said.items(), key=lambda item: key_of(item[0]))
    ]
    publish_parquet(root.evaluate(evaluation) / "predictions.parquet", pa.Table.from_pylist(rows, PREDICTIONS))


def keep_head(
    root: DataRoot, seed: int = 0, how: TrainSettings | None = None, labels: Sequence[str] = LABELS
) -> tuple[str, Head]:
    """Keep a head of drawn weights as the train stage does; returns its key and itself."""
    how = replace(how or settings(), seed=seed)
    folder = root.train(how.key("snap"))
    widths = [backbone.width if how.rooted else backbone.widths[0] for backbone in how.backbones]
    weights = np.random.default_rng(seed).normal(size=(sum(widths), len(labels))).astype(np.float32)
    head = Head(tuple(labels), weights, np.zeros(len(labels), np.float32), how.rooted, {})
    announce(Training(how, "snap"), folder)
    save_head(head, folder)
    manifest("train", folder.name, asdict(how), {"labels": list(labels)}).publish(folder / "manifest.json")
    return folder.name, head


def outdate(root: DataRoot, key: str) -> None:
    """Let a model be one that the version before this one trained."""
    path = root.train(key) / ANNOUNCEMENT
    told = read_json(path)
    told["settings"]["bottleneck"] = told["settings"].pop("bottlenecks")[0]
    publish_json(path, told)


def manifest(stage: str, key: str, how: Mapping[str, Any], details: Mapping[str, Any]) -> Manifest:
    """What a stage says when it has ended."""
    return Manifest(
        stage=stage,
        run="test",
        seconds=0.0,
        key=key,
        snapshot="snap",
        settings=how,
        photos=1,
        new=1,
        reused=0,
        details=details,
    )


def crowned(model: str, since: dt.date = DAY, evaluation: str = "before") -> Champion:
    """A champion that was the first of its dataset."""
    first = Decision("first", model, model, None, since, "The model is the first of its dataset.", None)
    return Champion(model, since, evaluation, "snap", "run", TEST, "decided", first)


def occasion(model: str, key: str = "key", date: dt.date = DAY, least: float = 0.0) -> DecisionInputs:
    """A new model, whose evaluation is called `now`."""
    return DecisionInputs(key, DATASET, "run", "snap", "now", TEST, Candidate(model, date, TEST["accuracy"], least))  # type: ignore[arg-type]  # of mixed values


def source(root: DataRoot, folder: AnyPath | None = None) -> ChampionInputs:
    """Where everything is; the new model's backbone is that of the drawn bottlenecks."""
    weights = {BOTTLENECK.backbone.weights_sha256: root.path / "weights"}
    return ChampionInputs(root, folder or root.path / "photos", weights)

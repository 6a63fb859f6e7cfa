"""The context of a run: what tells two stage tasks apart, and what the stages find in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.cluster.addresses import Cluster
from tasks.decode.settings import DecodeSettings
from tasks.decode.task import DecodePhotos
from tasks.errors import BackboneError
from tasks.run_context import RunContext

CONTEXT = RunContext(
    "data",
    "run",
    "snap",
    "photos",
    "data/snapshot/flowers/2026-01-31.json",
    (("sha", "lite0.pth"),),
    cluster=Cluster("auto", 0.5),
)


def task_id(context: RunContext) -> str:
    return str(DecodePhotos(context=context, settings=DecodeSettings(16, 16)).task_id)


@pytest.mark.parametrize(
    "other", [{"run_id": "b"}, {"photos": "b"}, {"pointer": ""}, {"weights": ()}, {"cluster": Cluster("auto")}]
)
def test_contexts_that_differ_in_places_and_machines_make_one_task(other: dict[str, Any]) -> None:
    assert task_id(replace(CONTEXT, **other)) == task_id(CONTEXT)


@pytest.mark.parametrize("other", [{"data_root": "b"}, {"snapshot": "b"}, {"max_rejected": 1}, {"max_megapixels": 1}])
def test_contexts_that_differ_in_what_is_worked_on_make_two(other: dict[str, Any]) -> None:
    assert task_id(replace(CONTEXT, **other)) != task_id(CONTEXT)


def test_luigi_makes_the_same_task_of_its_parameters_as_text() -> None:
    task = DecodePhotos(context=CONTEXT, settings=DecodeSettings(16, 16))
    again = DecodePhotos.from_str_params(task.to_str_params())
    assert again.context == CONTEXT


def test_statistics_are_those_of_the_dataset_that_the_pointer_names() -> None:
    assert CONTEXT.statistics == Path("data/statistics/flowers")
    assert replace(CONTEXT, pointer="").statistics is None


def test_weights_are_found_by_their_hash_and_missing_ones_are_named() -> None:
    assert CONTEXT.weights_of("sha") == Path("lite0.pth")
    with pytest.raises(BackboneError, match="no weights with the sha256 other"):
        CONTEXT.weights_of("other")

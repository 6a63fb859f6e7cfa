"""Writes run records: the small files that runs end with."""

import datetime as dt
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.catalog import Dataset
from tasks.download.source_fallback import shown_location
from tasks.paths import AnyPath
from tasks.shards.manifests import SCHEMA_VERSION, Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage_spec import of_kind
from tasks.storage.files import publish_json


def _age() -> float:
    """Seconds since the system started this process; 0 where the system does not tell."""
    if sys.platform == "linux":
        # Field 22 of proc_pid_stat(5), counted from the end of the name, which may hold spaces and brackets.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


#: Seconds before this import: Python's own start, and Luigi's modules and ours. A worker's children inherit both.
_PROGRAM = _age()
_STARTED = time.monotonic() - _PROGRAM
#: Figures of near duplicates, which networks lack, and evaluations of an earlier version.
_NEAR_DUPLICATES = ("test_without_near_duplicates", "near_duplicates")


class Run(NamedTuple):
    """The run that a record is of."""

    id: str  #: Name of the run in manifests.
    date: dt.date  #: Date of the run.
    dataset: Dataset
    parameters: Mapping[str, str]  #: Every other parameter, as text.


def join_states(states: Iterable[str]) -> str:
    """Join the states of several backbones' files to one text; see `BackboneRequest.state`."""
    return "; ".join(states)


def record_header(run: Run, backbones: Sequence[Manifest], snapshot: Manifest) -> dict[str, Any]:
    """The start of every record: the run, and the state of its photos and backbones, by the manifests.

    `elapsed` is in seconds, from the program's start to now. It leaves out the last lines on the terminal and Python's
    end. Where one program makes the runs of many dates, it includes the runs before this one.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.id,
        "date": f"{run.date}",
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "elapsed": round(time.monotonic() - _STARTED, 3),
        "dataset": {"name": run.dataset.name, "location": shown_location(run.dataset)},
        "parameters": dict(run.parameters),
        "state": snapshot.details["state"],
        "backbone_state": join_states(backbone.details["asked"] for backbone in backbones),
        "snapshot": snapshot.key,
        # Snapshots of an earlier version of this project lack the changes of labels and the source.
        "labels": snapshot.details.get("label_changes", {"new": [], "gone": []}),
        "unreached": snapshot.details.get("unreached"),
        **IgnoredSummary.from_details(snapshot.details).details(),
    }


def publish_record(path: AnyPath, run: Run, stages: Mapping[str, Manifest]) -> None:
    """Write the record of a run, with the manifests of all stages by name, in the order in which they ran."""
    evaluate = stages["evaluate"]
    # Fine-tuning trains a network on pictures, without bottlenecks and a head.
    decodes, bottlenecks = of_kind(stages, "decode"), of_kind(stages, "bottleneck")
    trained = stages["train"].key
    own = {name: _own(stage, run.id) for name, stage in stages.items()}
    publish_json(
        path,
        {
            **record_header(run, of_kind(stages, "backbone"), stages["snapshot"]),
            "bottleneck": bottlenecks[0].key if bottlenecks else None,
            "head": trained if bottlenecks else None,
            "network": None if bottlenecks else trained,
            "evaluation": evaluate.key,
            "champion": dict(stages["champion"].details),
            "export": dict(stages["export"].details) if "export" in stages else None,
            "report": stages["report"].details["report"],
            # A photo that one decode rejects is in no head.
            "photos": min(stage.photos for stage in bottlenecks or decodes),
            "rejected": max(stage.details["missing"] for stage in decodes),
            "metrics": _headline(evaluate),
            "seconds": round(sum(stage["seconds"] for stage in own.values()), 3),
            "startup": _startup(stage["startup"] for stage in own.values()),
            "stages": own,
        },
    )


def _headline(evaluate: Manifest) -> dict[str, Any]:
    """The main figures: test accuracy and, if measured, cross-validated accuracy, with 95 % intervals."""
    test, crossed = evaluate.details["test"], evaluate.details["cross_validation"]
    return {
        "test": {name: test[name] for name in ("photos", "accuracy", "interval")},
        "cross_validation": dict(crossed) if crossed else None,
        **{name: evaluate.details[name] for name in _NEAR_DUPLICATES if name in evaluate.details},
    }


def _own(stage: Manifest, run: str) -> dict[str, Any]:
    """Work of the run in a stage; where an earlier run had done all of it, everything counts as reused."""
    own = stage.run == run
    # Details that the record has elsewhere.
    apart = {"asked", "found", "state", "label_changes", "unreached", "test", "cross_validation"}
    apart |= {"ignored_examples", "folders_without_photos", *_NEAR_DUPLICATES}
    own_details = {} if stage.stage in ("champion", "export", "report") else stage.details
    details = {name: value for name, value in own_details.items() if name not in apart}
    if not own:
        details |= {name: 0 for name in details if name.endswith("_new")}
    return {
        "key": stage.key,
        "photos": stage.photos,
        "new": stage.new if own else 0,
        "reused": stage.reused if own else stage.photos,
        "seconds": stage.seconds if own else 0.0,
        "startup": dict(stage.startup) if own else {},
        "details": details,
    }


def _startup(stages: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Seconds of start-up: in all, of the program before any stage, and in the stages by what was prepared."""
    parts = {"program": _PROGRAM}
    for stage in stages:
        for name, seconds in stage.items():
            parts[name] = parts.get(name, 0.0) + seconds
    return {name: round(seconds, 3) for name, seconds in {"seconds": sum(parts.values()), **parts}.items()}

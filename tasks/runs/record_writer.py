"""The run record: the small file that says what a nightly run came to."""

import datetime as dt
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.catalog import Dataset
from tasks.download.source_fallback import place
from tasks.paths import AnyPath
from tasks.shards.manifests import Manifest
from tasks.shards.schemas import SCHEMA_VERSION
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage_spec import of_kind
from tasks.storage.files import publish_json


def _age() -> float:
    """Seconds since the system started this process; 0 where it does not say."""
    if sys.platform == "linux":
        # Field 22 of proc_pid_stat(5), counted from the end of the name, which may hold spaces and brackets.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


#: What came before this import: Python's own start, and Luigi's modules and ours. A worker's children inherit both.
_PROGRAM = _age()
_STARTED = time.monotonic() - _PROGRAM


class Run(NamedTuple):
    """Which run a record is of.

    Args:
        id: Names the run in the manifests of the stages that it completed.
        date: The date that it is for.
        dataset: The dataset.
        parameters: Every other parameter, as text.
    """

    id: str
    date: dt.date
    dataset: Dataset
    parameters: Mapping[str, str]


def join_states(states: Iterable[str]) -> str:
    """How the files of several backbones look from outside, as one text; see `BackboneRequest.state`."""
    return "; ".join(states)


def identify(run: Run, backbones: Sequence[Manifest], snapshot: Manifest) -> dict[str, Any]:
    """What every record begins with: which run it is of, and how what it was made of looked.

    `elapsed` is in seconds, from the program's start to now. It leaves out what comes after the record: the last lines
    and Python's end. Where Luigi makes the runs of many dates in one go, it holds those before this one.

    Args:
        run: Which run.
        backbones: Manifests of its backbones.
        snapshot: Manifest of its snapshot.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.id,
        "date": f"{run.date}",
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "elapsed": round(time.monotonic() - _STARTED, 3),
        "dataset": {"name": run.dataset.name, "location": place(run.dataset)},
        "parameters": dict(run.parameters),
        "state": snapshot.details["state"],
        "backbone_state": join_states(backbone.details["asked"] for backbone in backbones),
        "snapshot": snapshot.key,
        # A snapshot that an earlier version of this project took has no such labels and source.
        "labels": snapshot.details.get("label_changes", {"new": [], "gone": []}),
        "unreached": snapshot.details.get("unreached"),
        **IgnoredSummary.from_details(snapshot.details).details(),
    }


def publish_record(path: AnyPath, run: Run, stages: Mapping[str, Manifest]) -> None:
    """Write the record of a run that is done.

    Args:
        path: Where.
        run: Which run.
        stages: Manifests of all stages by name, in the order in which they ran.
    """
    evaluate = stages["evaluate"]
    # Fine-tuning goes from pictures to a network, without bottlenecks or a head on them.
    decodes, bottlenecks = of_kind(stages, "decode"), of_kind(stages, "bottleneck")
    trained = stages["train"].key
    own = {name: _own(stage, run.id) for name, stage in stages.items()}
    publish_json(
        path,
        {
            **identify(run, of_kind(stages, "backbone"), stages["snapshot"]),
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
    """The figures that matter first: test accuracy and, if measured, cross-validated accuracy, with 95 % intervals."""
    test, crossed = evaluate.details["test"], evaluate.details["cross_validation"]
    return {
        "test": {name: test[name] for name in ("photos", "accuracy", "interval")},
        "cross_validation": dict(crossed) if crossed else None,
    }


def _own(stage: Manifest, run: str) -> dict[str, Any]:
    """What this run did in a stage; where an earlier run had done it all, everything counts as reused."""
    own = stage.run == run
    # What the record tells elsewhere.
    apart = {"asked", "found", "state", "label_changes", "unreached", "test", "cross_validation"}
    apart |= {"ignored_examples", "folders_without_photos"}
    told = {} if stage.stage in ("champion", "export", "report") else stage.details
    details = {name: value for name, value in told.items() if name not in apart}
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
    """What was no work: seconds in all, of the program before any stage, and in the stages by what was prepared."""
    parts = {"program": _PROGRAM}
    for stage in stages:
        for what, seconds in stage.items():
            parts[what] = parts.get(what, 0.0) + seconds
    return {what: round(seconds, 3) for what, seconds in {"seconds": sum(parts.values()), **parts}.items()}

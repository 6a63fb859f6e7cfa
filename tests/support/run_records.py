"""Run records as runs leave them, without a run."""

import json
from collections.abc import Mapping
from typing import Any

from tasks.paths import AnyPath
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot

INTERVAL = {"low": 0.85, "high": 0.95, "confidence": 0.95}


def stage(key: str, new: int, seconds: float = 0.0, imports: float = 0.0) -> dict[str, Any]:
    """A stage in a record."""
    return {"key": key, "new": new, "seconds": seconds, "startup": {"imports": imports} if imports else {}}


def record(root: DataRoot, date: str, **changes: Any) -> dict[str, Any]:
    """A record of a run that trained a head; keys can be replaced."""
    own: dict[str, Any] = {
        "schema_version": 1,
        "run": f"{date}-run",
        "date": date,
        "finished": f"{date}T03:00:00+00:00",
        "elapsed": 12.5,
        "dataset": {"name": "flowers", "location": "/photos"},
        "parameters": {"views": "2"},
        "snapshot": "snap",
        "head": "0123456789abcdef",
        "network": None,
        "photos": 1200,
        "rejected": 3,
        "metrics": {
            "test": {"photos": 120, "accuracy": 0.9, "interval": INTERVAL},
            "cross_validation": {"folds": 5, "accuracy": 0.925, "interval": INTERVAL},
        },
        "champion": {"verdict": "new"},
        "report": str(root.report(f"of-{date}") / "report.html"),
        "seconds": 11.0,
        "stages": {"decode": stage("d", 20), "bottleneck": stage("b", 25), "evaluate": stage("e", 0)},
    }
    return {**own, **changes}


def keep(root: DataRoot, kept: Mapping[str, Any], dataset: str = "flowers", parameters: str = "aaaaaaaa") -> AnyPath:
    """Keep a record where the run of these parameters would."""
    path = root.runs(dataset) / f"{kept['date']}-{parameters}.json"
    publish_bytes(path, json.dumps(kept).encode())
    return path

"""The last lines on the terminal: what a run came to, in plain words."""

from collections.abc import Mapping
from typing import Any

from tasks.catalog import SAMPLE
from tasks.download.source_fallback import describe_fallback
from tasks.export.formats import explain_lacking, explain_untested
from tasks.paths import AnyPath, to_path
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.labels import tell_merged
from tasks.storage.layout import DataRoot


def summarise(record: Mapping[str, Any], path: AnyPath, dataset: str) -> list[str]:
    """Say what a finished run came to and what to do next.

    Args:
        record: The run's record.
        path: Where the record is.
        dataset: The dataset as the user gave it.
    """
    test, crossed = record["metrics"]["test"], record["metrics"]["cross_validation"]
    stages = record["stages"]
    new = stages.get("bottleneck", stages["decode"])["new"]
    conflicts = stages["snapshot"]["details"]["conflicts"]
    return [
        "",
        f"Dataset         {record['dataset']['name']}, {record['date']}",
        f"Photos          {record['photos']:,} used, {new:,} of them new; {record['rejected']:,} rejected"
        + (f"; {conflicts:,} left out, since they stand under two labels" if conflicts else ""),
        *_labels(record),
        *_ignored(record),
        *_source(record),
        f"Test accuracy   {_share(test)} on {test['photos']:,} photos",
        *([f"Cross-validated {_share(crossed)} over all photos, {crossed['folds']} folds"] if crossed else []),
        f"Champion        {record['champion']['reason']}",
        f"Time            {record['elapsed']:.0f} s, {record['startup']['seconds']:.0f} s of them starting up",
        f"Report          {record['report']}",
        f"Run record      {path}",
        f"{'Head   ' if record['head'] else 'Network'}         {_trained(record)}",
        *_export(record),
        "",
        *_next(dataset),
    ]


def summarise_nothing(record: Mapping[str, Any], path: AnyPath, dataset: str) -> list[str]:
    """Say that a run has nothing to do.

    Args:
        record: The record of the run that did it.
        path: Where the record is.
        dataset: The dataset as the user gave it.
    """
    test = record["metrics"]["test"]
    return [
        f"Nothing to do: {record['dataset']['name']} was trained for {record['date']} on these very photos.",
        f"Test accuracy   {_share(test)} on {test['photos']:,} photos",
        *_ignored(record),
        *_source(record),
        *([f"Champion        {champion['reason']}"] if (champion := record.get("champion")) else []),
        f"Report          {record['report']}",
        f"Run record      {path}",
        *_export(record),
        *_next(dataset),
    ]


def is_worse(decision: Mapping[str, Any]) -> bool:
    """Whether a model is worse than the champion beyond the interval; one for an earlier date may also stay behind.

    Args:
        decision: What was decided on the champion.
    """
    comparison = decision["comparison"]
    return decision["verdict"] == "stays" and comparison is not None and comparison["interval"]["high"] < 0


def not_good_enough(decision: Mapping[str, Any]) -> str:
    """Say why a run whose model is not good enough ends with an error, and what to do.

    Args:
        decision: What was decided on the champion.
    """
    if decision["verdict"] == "refused":
        return f"{decision['reason']} Look at the mistakes in the report, or ask for less with --min-accuracy."
    return (
        f"{decision['reason']} This run's record and report are written: look at its mistakes, and at the photos that "
        "are new. To let the next model be champion whatever it is worth, forget the champion, with the parameters of "
        f"its run: python -m pipeline forget champion --date {decision['since']}."
    )


def refused_export(record: Mapping[str, Any]) -> str | None:
    """Say why the export of a run was refused; None where it was not.

    Args:
        record: The run's record.
    """
    reason = (record.get("export") or {}).get("refused")
    return f"{reason} This run's record and report are written, and tell of its model." if reason else None


def _export(record: Mapping[str, Any]) -> list[str]:
    """Where the model was exported to, and what of that was not tested."""
    if not record["export"]:
        return []
    if refused_export(record):
        return ["Export          refused, nothing was exported"]
    if lacking := explain_lacking(record["export"]):
        return [f"Export          none. {lacking}"]
    untested = explain_untested(record["export"])
    told = f"{_root(record).export(_model(record))}{f'; {untested}' if untested else ''}"
    return [f"Exported to     {told}"]


def _labels(record: Mapping[str, Any]) -> list[str]:
    """Which labels came and went since the last night, where any did."""
    changes = record["labels"]
    told = [f"{', '.join(map(repr, changes[which]))} {which}" for which in ("new", "gone") if changes[which]]
    return [*([f"Labels          {'; '.join(told)} since the last night"] if told else []), *_merged(record)]


def _merged(record: Mapping[str, Any]) -> list[str]:
    """Which labels several folders make; what an earlier version of this project recorded does not say."""
    merged = record["stages"]["snapshot"]["details"].get("merged_labels", {})
    return [f"Merged label    {tell_merged(label, folders)}" for label, folders in merged.items()]


def _ignored(record: Mapping[str, Any]) -> list[str]:
    """Files that were left out and may be missed, and folders that are therefore no label."""
    return [f"{head:<15} {line}" for head, line in IgnoredSummary.from_details(record).lines()]


def _source(record: Mapping[str, Any]) -> list[str]:
    """That the run went on without its source, where it did; earlier versions of this project did not say."""
    unreached = record.get("unreached")
    return [f"Source          {describe_fallback(unreached)}"] if unreached else []


def _trained(record: Mapping[str, Any]) -> AnyPath:
    """Folder of the head or of the network."""
    return _root(record).train(_model(record))


def _root(record: Mapping[str, Any]) -> DataRoot:
    return DataRoot.above(to_path(record["report"]).parent)


def _model(record: Mapping[str, Any]) -> str:
    return str(record["head"] or record["network"])


def _share(measured: Mapping[str, Any]) -> str:
    interval = measured["interval"]
    return f"{measured['accuracy']:.1%} (95 % interval {interval['low']:.1%} to {interval['high']:.1%})"


def _next(dataset: str) -> list[str]:
    command = "luigi --module pipeline RetrainFlowers --dataset"
    if dataset == SAMPLE:
        return [f"Real photos:    {command} flower_photos", f"Your own:       {command} path/to/folder"]
    return ["Add photos to the dataset and run the same command again: only what is new is computed."]

"""The last lines of a run on the terminal."""

from collections.abc import Mapping
from typing import Any

from tasks.catalog import SAMPLE
from tasks.download.source_fallback import describe_fallback
from tasks.drift.result import describe_changes
from tasks.export.formats import explain_lacking, explain_untested
from tasks.paths import AnyPath, to_path
from tasks.runs.records import distinct_accuracy, find_changes, find_given_splits
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.labels import describe_corrections, describe_label_table, describe_merge
from tasks.snapshot.split_facts import describe_folds, describe_splits, name_test_split
from tasks.storage.layout import DataRoot


def summarise(record: Mapping[str, Any], path: AnyPath, dataset: str) -> list[str]:
    """Summarise a run that has just ended, with the commands that may come next.

    Args:
        record: The record of the run.
        path: Path of the record.
        dataset: The value of `--dataset`.
    """
    return [
        "",
        f"Dataset         {record['dataset']['name']}, {record['date']}",
        *figures(record),
        f"Run record      {path}",
        f"{'Head   ' if record['head'] else 'Network'}         {_root(record).train(_model(record))}",
        *_export(record),
        "",
        *_next(dataset),
    ]


def figures(record: Mapping[str, Any]) -> list[str]:
    """The figures of a run that has just ended, and its report."""
    test, crossed = record["metrics"]["test"], record["metrics"]["cross_validation"]
    new, conflicts = new_photos(record), record["stages"]["snapshot"]["details"]["conflicts"]
    return [
        f"Photos          {record['photos']:,} used, {new:,} of them new; {record['rejected']:,} rejected"
        + (f"; {conflicts:,} left out because they have two labels" if conflicts else ""),
        *_labels(record),
        *_splits(record),
        *_ignored(record),
        *_source(record),
        *_drift(record),
        f"Test accuracy   {_share(test)} on {test['photos']:,} photos{_given_test(record)}",
        *_distinct(record["metrics"]),
        *([f"Cross-validated {_share(crossed)} {describe_folds(crossed)}"] if crossed else []),
        *_label_issues(record),
        *_near_duplicates(record["metrics"]),
        f"Champion        {record['champion']['reason']}",
        *_serving(record),
        f"Time            {record['elapsed']:.0f} s, {record['startup']['seconds']:.0f} s of them starting up",
        f"Report          {record['report']}",
    ]


def new_photos(record: Mapping[str, Any]) -> int:
    """Number of photos that no run had seen before."""
    stages = record["stages"]
    return int(stages.get("bottleneck", stages["decode"])["new"])


def summarise_nothing(record: Mapping[str, Any], path: AnyPath, dataset: str) -> list[str]:
    """Summarise a run that had nothing to do, by the record of the earlier run; see `summarise`."""
    test = record["metrics"]["test"]
    return [
        f"Nothing to do: {record['dataset']['name']} was trained for {record['date']} on the same photos.",
        f"Test accuracy   {_share(test)} on {test['photos']:,} photos{_given_test(record)}",
        *_distinct(record["metrics"]),
        *_ignored(record),
        *_source(record),
        *_drift(record),
        *([f"Champion        {champion['reason']}"] if (champion := record.get("champion")) else []),
        f"Report          {record['report']}",
        f"Run record      {path}",
        *_export(record),
        *_next(dataset),
    ]


def is_worse(decision: Mapping[str, Any]) -> bool:
    """Whether the decision finds a model worse than the champion, over all photos or on a label.

    A model that is not worse may stay behind too: one for an earlier date, or while the champion is pinned.
    """
    return decision["kept_by"] in ("accuracy", "label")


def not_good_enough(record: Mapping[str, Any]) -> str:
    """The error of a run whose model is not good enough: the reason and the remedy."""
    decision, dataset = record["champion"], record["dataset"]["name"]
    if decision["verdict"] == "refused" and decision.get("kept_by") == "drift":
        return (
            f"{decision['reason']} The record and the report of this run are written: look at the new photos in "
            f"{record['report']}. --on-drift warn accepts them."
        )
    if decision["verdict"] == "refused":
        return f"{decision['reason']} Look at the mistakes in the report, or lower --min-accuracy."
    gate = " --label-gate false compares all photos alone." if decision["kept_by"] == "label" else ""
    return (
        f"{decision['reason']} The record and the report of this run are written: look at its mistakes and at the new "
        "photos. To make the model champion in any case: python -m pipeline champion "
        f"{dataset} --promote {decision['model']}.{gate}"
    )


def refused_export(record: Mapping[str, Any]) -> str | None:
    """The reason why the export of a recorded run was refused; None if it was not."""
    reason = (record.get("export") or {}).get("refused")
    return f"{reason} The record and the report of this run are written." if reason else None


def _export(record: Mapping[str, Any]) -> list[str]:
    """The outcome of the export, if it is worth a line, and the command that writes the files of a model not served."""
    if not record["export"]:
        return []
    if refused_export(record):
        return ["Export          refused, nothing was exported"]
    if lacking := explain_lacking(record["export"]):
        return [f"Export          none. {lacking}"]
    is_served = record["stages"]["serving"]["details"]["model"] == _model(record)
    files = "" if is_served else f"python -m pipeline export {_model(record)} FOLDER"
    told = "; ".join(filter(None, (files, explain_untested(record["export"]))))
    return [f"Export          {told}"] if told else []


def _serving(record: Mapping[str, Any]) -> list[str]:
    """The version of the champion for model servers, and why it is not the champion."""
    details = record["stages"]["serving"]["details"]
    number, obstacle = details["version"], details["obstacle"]
    if not obstacle:
        return [f"Served from     {_root(record).serving(record['dataset']['name']) / str(number)}"]
    return [f"Served          {f'version {number} as before' if number else 'nothing'}: {obstacle}"]


def _labels(record: Mapping[str, Any]) -> list[str]:
    """Corrected labels, those that are new or gone since the last run, and those that several folders share."""
    changes = record["labels"]
    told = [f"{', '.join(map(repr, changes[which]))} {which}" for which in ("new", "gone") if changes[which]]
    # Records of earlier versions lack them.
    details = record["stages"]["snapshot"]["details"]
    merged, corrections = details.get("merged_labels", {}), details.get("corrections")
    label_table = details.get("label_table")
    return [
        *(f"Label table     {line}" for line in (describe_label_table(label_table) if label_table else ())),
        *([f"Corrections     {describe_corrections(corrections)}"] if corrections else []),
        *([f"Labels          {'; '.join(told)} since the last run"] if told else []),
        *(f"Merged label    {describe_merge(label, folders)}" for label, folders in merged.items()),
    ]


def _splits(record: Mapping[str, Any]) -> list[str]:
    """The splits that the dataset gives, if it gives any."""
    given = find_given_splits(record)
    return [f"Splits          {describe_splits(given)}"] if given else []


def _given_test(record: Mapping[str, Any]) -> str:
    given = find_given_splits(record)
    return f" of {name_test_split(given)}" if given else ""


def _label_issues(record: Mapping[str, Any]) -> list[str]:
    """The number of labels that look wrong, if there are any, and the command that lists them."""
    issues = record["stages"]["evaluate"]["details"].get("label_issues")
    if not issues:
        return []
    verb = "label looks" if issues == 1 else "labels look"
    return [f"Label issues    {issues:,} {verb} wrong: python -m pipeline audit {record['dataset']['name']}"]


def _ignored(record: Mapping[str, Any]) -> list[str]:
    """Ignored files that may be missed, and folders that are no label because of them."""
    return [f"{head:<15} {line}" for head, line in IgnoredSummary.from_details(record).lines()]


def _source(record: Mapping[str, Any]) -> list[str]:
    """The snapshot that a run used because its source could not be reached."""
    unreached = record.get("unreached")
    return [f"Source          {describe_fallback(unreached)}"] if unreached else []


def _drift(record: Mapping[str, Any]) -> list[str]:
    """The changes of new photos; empty where there are none."""
    told = describe_changes(find_changes(record))
    return [f"Drift           {told}"] if told else []


def _distinct(metrics: Mapping[str, Any]) -> list[str]:
    """The accuracy on the test photos without a near duplicate in training, if it differs or is not known."""
    without = metrics.get("test_without_near_duplicates")
    if without and not without["photos"]:
        return ["Test accuracy   too high: every test photo has a near duplicate in training"]
    if not without or distinct_accuracy(metrics["test"], without) is None:
        return []
    told = f"{_share(without)} on the {without['photos']:,} photos"
    return [f"Test accuracy   {told} without a near duplicate in training"]


def _near_duplicates(metrics: Mapping[str, Any]) -> list[str]:
    """The number of near duplicates, if there are any; records of networks and of earlier versions lack it."""
    found = metrics.get("near_duplicates")
    if not found or not found["groups"]:
        return []
    different = found["with_different_labels"]
    told = f", {different:,} of them with different labels" if different else ""
    groups = "1 group" if found["groups"] == 1 else f"{found['groups']:,} groups"
    return [f"Near duplicates {found['photos']:,} photos in {groups}{told}: see the report"]


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

"""How far a run has come, for the message that a signal ends it with."""

_done: list[str] = []
_stage = ""
_rows = 0


def start_stage(stage: str) -> None:
    """Record that a stage starts its work."""
    global _stage, _rows
    _stage, _rows = stage, 0


def count_published(rows: int) -> None:
    """Add rows that the current stage has published, which stay if the run fails."""
    global _rows  # noqa: PLW0603
    _rows += rows


def finish_stage() -> None:
    """Record that the current stage is done."""
    global _stage  # noqa: PLW0603
    _done.append(_stage)
    _stage = ""


def describe_progress() -> str:
    """Describe where the run stands and what is kept of it, as the rest of a sentence."""
    where = f" in the stage {_stage}" if _stage else ""
    kept = [f"the stages {', '.join(_done)}"] if _done else []
    if _stage and _rows:
        kept.append(f"{_rows:,} new rows of {_stage}")
    told = f"Kept are {' and '.join(kept)}" if kept else "Earlier results are kept"
    return f"{where}. {told}; run the same command again to go on from there."

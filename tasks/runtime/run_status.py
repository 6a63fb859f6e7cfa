"""How far a run has come, for whoever has to say so when it is stopped."""

_done: list[str] = []
_stage = ""
_rows = 0


def start_stage(stage: str) -> None:
    """A stage begins its work."""
    global _stage, _rows
    _stage, _rows = stage, 0


def count_published(rows: int) -> None:
    """Rows are published: they stay, whatever becomes of the run."""
    global _rows  # noqa: PLW0603
    _rows += rows


def finish_stage() -> None:
    """The stage is done."""
    global _stage  # noqa: PLW0603
    _done.append(_stage)
    _stage = ""


def describe_progress() -> str:
    """Say in a sentence or two where the run stands and what is kept of it."""
    where = f" in the stage {_stage}" if _stage else ""
    kept = [f"the stages {', '.join(_done)}"] if _done else []
    if _stage and _rows:
        kept.append(f"{_rows:,} new rows of {_stage}")
    what = f"Kept are {' and '.join(kept)}" if kept else "What was published before is kept"
    return f"{where}. {what}; run the same command again to go on from there."

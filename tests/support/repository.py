"""Where this project is, and its files."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-z"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0")[:-1]]

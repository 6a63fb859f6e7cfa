"""The READMEs say what the code does: their commands, tables and queries are run or compared here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import luigi
import pytest

from pipeline.compare import CompareTraining
from pipeline.retrain import RetrainFlowers
from tasks.errors import PipelineError
from tasks.runtime.luigi_settings import DEFAULTS
from tests.pipeline.command import LUIGI, Project, draw
from tests.support.repository import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
OF_DATA = (REPOSITORY / "data" / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README + OF_DATA, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SQL = [code for language, code in BLOCKS if language == "sql"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/` in it, as a run leaves it: with a rejected photo, a duplicate and mistakes."""
    folder = tmp_path_factory.mktemp("readme")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(60), labels=5)
    (project.photos / "tulips" / "broken.jpg").write_bytes(b"broken")
    done = project.retrain_forked()
    assert done.code == 0, done.errors
    return folder


@pytest.mark.parametrize("code", PYTHON)
def test_each_python_example_runs_as_written(folder: Path, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout or (folder / "photo.png").is_file()


@pytest.mark.parametrize("code", SQL)
def test_each_query_runs_as_written_and_finds_rows(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = duckdb.sql(code)
    assert found is not None
    assert found.fetchall()


def rows(header: str) -> list[list[str]]:
    """The cells of the table under a header line."""
    table = README.split(f"{header}\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def defaults(task: type[luigi.Task]) -> dict[str, str]:
    """The default of each parameter as the README writes it."""
    parameters = task.get_params()
    return {name: f"`{each.serialize(each._default)}`".replace("False", "false") for name, each in parameters}


def test_the_table_of_parameters_has_each_with_its_default() -> None:
    told = {name.strip("`"): default for name, default, _ in rows("| parameter | default | meaning |")}
    assert told == defaults(RetrainFlowers) | {"date": "today"}


def test_the_table_of_comparing_has_what_retraining_has_not() -> None:
    told = {
        name.strip("`"): default for name, default, _ in rows("| parameter of CompareTraining | default | meaning |")
    }
    shared = defaults(RetrainFlowers).items()
    assert told == {name: value for name, value in defaults(CompareTraining).items() if (name, value) not in shared}


def test_the_table_of_exit_codes_has_those_of_luigi_of_our_errors_and_of_signals() -> None:
    told = {int(code) for code, *_ in rows("| exit code | meaning | remedy |")}
    errors = {error.exit_code for error in PipelineError.__subclasses__()}
    assert told == {0, 1, 2, 130, 143} | {int(code) for code in DEFAULTS["retcode"].values()} | errors


@pytest.mark.parametrize("task", [RetrainFlowers, CompareTraining])
def test_help_describes_every_parameter(task: type[luigi.Task]) -> None:
    command = [str(LUIGI), "--module", "pipeline", task.__name__, "--help"]
    wide = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(command, cwd=REPOSITORY, env=wide, capture_output=True, text=True, check=True)
    for name, parameter in task.get_params():
        assert f"--{name.replace('_', '-')} " in done.stdout
        assert str(parameter.description) in done.stdout

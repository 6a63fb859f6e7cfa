"""The READMEs describe the code: their examples run here, their commands, tables and links are compared with it."""

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import duckdb
import luigi
import pyarrow as pa
import pytest
from luigi.cmdline_parser import CmdlineParser

from pipeline.compare import CompareTraining
from pipeline.retrain import RetrainFlowers
from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import TrainableKind
from tasks.decode.photos import open_stores
from tasks.errors import PipelineError
from tasks.runtime.luigi_settings import DEFAULTS
from tests.bottleneck.pictures import key_of
from tests.pipeline.command import LUIGI
from tests.pipeline.test_cli import VERBS
from tests.support.data_root import DAY, SETTINGS, draw_photos, keep, record, stage_run
from tests.support.processes import run
from tests.support.repository import REPOSITORY, tracked_files

TEXTS = {path: (REPOSITORY / path).read_text() for path in tracked_files() if path.name == "README.md"}
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", "".join(TEXTS.values()), re.MULTILINE | re.DOTALL)
PARAMETERS = "| parameter | default | meaning |"


def of_language(language: str) -> list[str]:
    return [code for name, code in BLOCKS if name == language]


def commands() -> Iterator[str]:
    """The commands of this project in blocks and in running text; a word in capitals stands for several names."""
    lines = [line for _, code in BLOCKS for line in code.replace("\\\n", " ").splitlines()]
    spans = [" ".join(span.split()) for text in TEXTS.values() for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    for text in [*lines, *spans]:
        if found := re.search(
            r"(?:luigi --module pipeline|python -m) (?!TASK|\S*NAME|pipeline(?: VERB| \.\.\.|$))[^#>&|]+", text
        ):
            yield found[0].strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/` in it, as a run leaves it: with a rejected photo and mistakes."""
    folder = tmp_path_factory.mktemp("readme")
    root = stage_run(folder, draw_photos()).root
    broken = {"sha256": key_of(-1), "path": "tulips/broken.jpg", "reason": "unknown_format", "message": "no photo"}
    rejected = open_stores(root, SETTINGS.train.decodes[0]).rejected
    rejected.append(pa.Table.from_pylist([broken], rejected.schema))
    keep(root, record(root, f"{DAY}"))
    return folder


@pytest.mark.parametrize("code", of_language("python"))
def test_each_python_example_runs_as_written(folder: Path, code: str) -> None:
    done = run([sys.executable, "-c", code], folder=folder).check()
    assert done.output or (folder / "photo.png").is_file()


@pytest.mark.parametrize("code", of_language("sql"))
def test_each_query_runs_as_written_and_finds_rows(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = duckdb.sql(code)
    assert found is not None
    assert found.fetchall()


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_each_command_names_tasks_verbs_modules_and_options_that_exist(command: str) -> None:
    program, _, name, *words = shlex.split(command.removesuffix("--help"))
    if program == "luigi":
        with CmdlineParser.global_instance(words) as parser:
            assert isinstance(parser.get_task_obj(), luigi.Task)
    elif name == "pipeline":
        assert VERBS[words[0]].make_context(words[0], words[1:])
    else:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        names = [word.removeprefix("--").replace("-", "_") for word in words if word.startswith("--")]
        assert [each for each in names if not re.search(rf"\b{each}: ", Path(spec.origin).read_text())] == []


def test_each_extra_that_is_installed_exists() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"pip install -e '\.\[([\w,]+)\]'", "".join(TEXTS.values()))
    assert {name for extra in extras for name in extra.split(",")} <= project["optional-dependencies"].keys()


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the table under a header line."""
    table = text.split(f"{header}\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[1:]]


def told_defaults(readme: str, header: str = PARAMETERS) -> dict[str, str]:
    """The default of each parameter in the table of a README."""
    return {name.strip("`"): default for name, default, _ in rows(TEXTS[Path(readme)], header)}


def defaults(task: type[luigi.Task]) -> dict[str, str]:
    """The default of each parameter as a README writes it."""
    parameters = task.get_params()
    return {name: f"`{each.serialize(each._default)}`".replace("False", "false") for name, each in parameters}


def test_the_table_of_parameters_has_each_with_its_default_and_the_short_one_ten_of_them() -> None:
    told, short = told_defaults("pipeline/README.md"), told_defaults("README.md")
    assert told == defaults(RetrainFlowers) | {"date": "today"}
    assert list(told) == list(defaults(RetrainFlowers)), "in the order of --help"
    assert len(short) == 10
    assert short.items() <= told.items()


def test_the_table_of_comparing_has_what_retraining_has_not() -> None:
    told = told_defaults("pipeline/README.md", "| parameter of CompareTraining | default | meaning |")
    shared = defaults(RetrainFlowers).items()
    assert told == {name: value for name, value in defaults(CompareTraining).items() if (name, value) not in shared}


def test_the_table_of_verbs_has_all_of_them() -> None:
    told = rows(TEXTS[Path("pipeline/README.md")], "| `python -m pipeline ...` | purpose |")
    assert [verb.strip("`").split()[0] for verb, _ in told] == list(VERBS)


def test_the_table_of_kinds_says_of_each_what_it_can() -> None:
    header = "| kind | `--backbone` | layers | processor | GPU | fine-tuned | exports |"
    told = {row[0].strip("`"): row for row in rows(TEXTS[Path("tasks/backbone/README.md")], header)}
    assert list(told) == sorted(KINDS)
    for name, kind in KINDS.items():
        processor, gpu, tuned, exports = told[name][3:]
        assert ("int8" in processor, "none" not in gpu) == (kind.in_tensorflow, kind.in_tensorflow)
        assert ("bfloat16" in processor, "bfloat16" in gpu) == (True, kind.bfloat16_on_gpu)
        assert tuned == ("yes" if isinstance(kind, TrainableKind) else "no")
        assert exports == (
            "all" if tuned == "yes" else "all but `model.keras`" if kind.in_tensorflow else "`model.xml`"
        )


def test_the_table_of_exit_codes_has_those_of_luigi_of_our_errors_and_of_signals() -> None:
    told = rows(TEXTS[Path("README.md")], "| exit code | meaning | remedy |")
    codes = {int(code) for cell, *_ in told for code in cell.split(",")}
    errors = {error.exit_code for error in PipelineError.__subclasses__()}
    assert codes == {0, 1, 2, 130, 143} | {int(code) for code in DEFAULTS["retcode"].values()} | errors


@pytest.mark.parametrize("readme", TEXTS)
def test_each_link_leads_to_a_file_and_a_heading(readme: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", TEXTS[readme]):
        path = (REPOSITORY / readme.parent / target).resolve() if target else REPOSITORY / readme
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("readme", TEXTS)
def test_each_source_path_exists(readme: Path) -> None:
    named = re.findall(r"\b(?:pipeline|tasks|tests)/[\w./]*\w", TEXTS[readme])
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_the_first_readme_is_short() -> None:
    assert len(TEXTS[Path("README.md")].splitlines()) <= 200


@pytest.mark.parametrize("task", [RetrainFlowers, CompareTraining])
def test_help_describes_every_parameter(task: type[luigi.Task]) -> None:
    done = run([LUIGI, "--module", "pipeline", task.__name__, "--help"], {**os.environ, "COLUMNS": "400"})
    for name, parameter in task.get_params():
        assert f"--{name.replace('_', '-')} " in done.output
        assert str(parameter.description) in done.output

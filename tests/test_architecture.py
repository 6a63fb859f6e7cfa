"""Rules for the whole repository that no linter checks."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import run
from tests.support.repository import REPOSITORY, tracked_files

HEAVY = {"PIL", "httpx", "keras", "numpy", "openvino", "pyarrow", "scipy", "tensorflow"}
LUIGI_MODULES = {"task.py", "stage.py", "parameters.py", "luigi_worker.py", "luigi_failures.py", "luigi_settings.py"}
SOURCES, PIPELINE = (
    sorted(path.relative_to(REPOSITORY) for path in (REPOSITORY / folder).rglob("*.py"))
    for folder in ("tasks", "pipeline")
)


def parsed(path: Path) -> ast.Module:
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))


def imported(path: Path, *, at_the_top: bool) -> Iterator[str]:
    """Packages that a module imports: anywhere in it, or only while it is imported itself."""
    tree = parsed(path)
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_importing_pipeline_stays_light() -> None:
    script = f"import pipeline, sys; print(*sorted({HEAVY} & {{name.partition('.')[0] for name in sys.modules}}))"
    done = run([sys.executable, "-c", script])
    assert (done.code, done.output) == (0, "\n"), done.errors


def test_no_public_class_name_stands_twice() -> None:
    nodes = [node for path in [*SOURCES, *PIPELINE] for node in ast.walk(parsed(path))]
    names = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_all_stages_are_checked() -> None:
    stages = (
        "download snapshot decode backbone bottleneck train predict evaluate export champion serving report compare"
    )
    assert {"storage", "shards", *stages.split()} <= {path.parts[1] for path in SOURCES}


def test_plain_modules_never_import_luigi() -> None:
    plain = [path for path in SOURCES if path.name not in LUIGI_MODULES]
    assert [path for path in plain if "luigi" in imported(path, at_the_top=False)] == []


def test_tensorflow_is_loaded_by_the_stages_that_compute_with_it_alone() -> None:
    computing = ("backbone", "bottleneck", "train", "predict", "export", "compare", "runtime")
    others = [path for path in SOURCES if path.parts[1] not in computing]
    assert [path for path in others if {"tensorflow", "keras"} & set(imported(path, at_the_top=True))] == []


def test_ray_and_openvino_are_imported_by_one_module_each() -> None:
    for package, module in (("ray", "tasks/cluster/driver.py"), ("openvino", "tasks/runtime/openvino_import.py")):
        loading = [path for path in [*SOURCES, *PIPELINE] if package in imported(path, at_the_top=False)]
        assert loading == [Path(module)]


def test_the_top_of_the_repository_holds_nothing_else() -> None:
    top = {path.parts[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml",
        "README.md",
        "luigi.cfg",
        "pipeline",
        "tasks",
        "data",
        "tests",
    }

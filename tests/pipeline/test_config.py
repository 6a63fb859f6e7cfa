"""luigi.cfg and the defaults: every section and key reaches something, and the exit codes are the README's."""

import configparser
from pathlib import Path

import luigi.cmdline
import pytest
from luigi.task_register import Register, TaskClassException

import pipeline
from tasks.runtime.luigi_settings import DEFAULTS

CONFIG = (Path(__file__).parent.parent.parent / "luigi.cfg").read_text(encoding="utf-8")
#: Where a section's class may be defined; the tests define tasks too.
PACKAGES = (luigi.cmdline.__name__.partition(".")[0], pipeline.__name__, "tasks")


def parse(text: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read_string(text)
    return config


def strangers(config: configparser.ConfigParser) -> list[str]:
    """Sections that no task or class of Luigi's reads, and keys that are none of their parameters."""
    found = []
    for section in config.sections():
        try:
            reader = Register.get_task_cls(section)
        except TaskClassException:
            found.append(f"[{section}]")
            continue
        if reader.__module__.partition(".")[0] not in PACKAGES:
            found.append(f"[{section}]")
        known = {name for name, _ in reader.get_params()} | getattr(reader, "ignore_unconsumed", set())
        found += [f"[{section}] {key}" for key in config[section] if key.replace("-", "_") not in known]
    return found


def test_every_section_and_key_of_luigi_cfg_and_of_the_defaults_is_read_by_something() -> None:
    defaults = configparser.ConfigParser()
    defaults.read_dict(DEFAULTS)
    assert strangers(parse(CONFIG)) == strangers(defaults) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[RetrainFlower]\nviews=1", ["[RetrainFlower]"]),
        ("[retrainflowers]\nviews=1", ["[retrainflowers]"]),
        ("[RetrainFlowers]\nview=1\nshrinkage=0.1", ["[RetrainFlowers] view"]),
        ("[RetrainFlowers]\nimage-size=64", []),
        ("[core]\nlocal_schedule=true", ["[core] local_schedule"]),
        ("[cores]\nlocal_scheduler=true", ["[cores]"]),
    ],
)
def test_a_misspelt_section_or_key_would_be_found(text: str, found: list[str]) -> None:
    assert strangers(parse(text)) == found


def test_the_bare_command_has_a_dataset_and_needs_no_server() -> None:
    assert pipeline.RetrainFlowers().dataset == "sample"
    assert DEFAULTS["core"]["local_scheduler"] == "true"

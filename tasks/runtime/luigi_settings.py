"""Luigi's settings: the project's own where luigi.cfg has none, and a sentence where they cannot be read.

Luigi reads luigi.cfg from the folder that a command is started in, so that cron and an installed wheel may find none.
"""

import configparser
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import luigi
import luigi.configuration
import luigi.interface
import luigi.retcodes
import luigi.worker

from tasks.errors import SettingError

#: By section and key.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "core": {
        "local_scheduler": "true",
        "log_level": "WARNING",
        # A run of the same dataset and date waits for the other one; Luigi itself knows only of the very same command.
        "no_lock": "true",
    },
    "worker": {
        "check_complete_on_run": "true",
        # With luigid: wait for the tasks of other workers, and take over those that they leave.
        "keep_alive": "true",
    },
    # A stage that fails ends with the exit code of its error, see tasks/errors.py.
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}
#: Luigi's own parameters, which luigi.cfg and the command line set.
_SECTIONS = (luigi.interface.core, luigi.worker.worker, luigi.retcodes.retcode)


def apply_defaults() -> None:
    """Set each of `DEFAULTS` that no luigi.cfg sets; end the program where luigi.cfg cannot be read.

    Raises:
        SystemExit: A value cannot be read; standard error says which one. The exit code is that of `SettingError`.
    """
    try:
        config = _read()
        for section, values in DEFAULTS.items():
            for key, value in values.items():
                if not config.has_option(section, key):  # type: ignore[no-untyped-call]  # Luigi's has no types
                    config.set(section, key, value)  # type: ignore[no-untyped-call]
        check_luigi_parameters()
    except SettingError as exc:
        # Luigi imports its tasks before it catches any error.
        print(f"ERROR: {exc}", file=sys.stderr)  # noqa: T201 (the program ends here)
        raise SystemExit(exc.exit_code) from exc


def check_luigi_parameters() -> None:
    """Check the parameters of Luigi itself, from luigi.cfg and from the command line.

    Raises:
        SettingError: One of them has a value of the wrong type.
    """
    for section in _SECTIONS:
        try:
            section()
        except (ValueError, luigi.parameter.ParameterException) as exc:
            raise SettingError(
                f"A parameter of Luigi's [{section.__name__}] has a value that it cannot take "
                f"({_line(exc)}: {_line(exc.__cause__ or exc)}). Correct it on the command line or in luigi.cfg."
            ) from exc
    workers = luigi.interface.core().workers  # type: ignore[no-untyped-call]  # Luigi's has no types
    if workers < 1:
        raise SettingError(f"--workers is {workers}; it takes a whole number of at least 1.")


def refuse_empty(words: Sequence[str]) -> None:
    """Refuse a command with an empty word, such as a shell's unset variable: Luigi takes the default in its place.

    Args:
        words: The words of the command line after the program's name.

    Raises:
        SettingError: A word or the value of an option is empty.
    """
    for before, word in pairwise(("", *words)):
        option, assigned, value = word.partition("=")
        if word and not (assigned and not value and option.startswith("--")):
            continue
        name = option or (before if before.startswith("--") else "An argument")
        raise SettingError(
            f"{name} is empty, as where a shell's variable is not set. Give a value, or leave it out to take the "
            "default."
        )


def refuse_empty_settings(task: luigi.Task) -> None:
    """Refuse a parameter of a task that is empty in luigi.cfg.

    Raises:
        SettingError: One is empty.
    """
    config, section = _config(), task.get_task_family()  # type: ignore[no-untyped-call]  # Luigi's has no types
    for name, _ in task.get_params():  # type: ignore[no-untyped-call]  # Luigi's has no types
        if config.get(section, name, "unset") == "":  # type: ignore[no-untyped-call]  # Luigi's has no types
            raise SettingError(f"{name} in [{section}] of luigi.cfg is empty. Give it a value, or remove the line.")


def _read() -> luigi.configuration.LuigiConfigParser:
    try:
        config = _config()
        for section in config.sections():
            for key in config.options(section):
                _check(config, section, key)
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise SettingError(f"{_files()} cannot be read ({_line(exc)}). Correct that line.") from exc
    return config


def _config() -> luigi.configuration.LuigiConfigParser:
    config: luigi.configuration.LuigiConfigParser = luigi.configuration.get_config()  # type: ignore[no-untyped-call]
    return config


def _check(config: luigi.configuration.LuigiConfigParser, section: str, key: str) -> None:
    try:
        config.get(section, key)  # type: ignore[no-untyped-call]  # Luigi's has no types
    except configparser.InterpolationError as exc:
        raise SettingError(
            f"{key} in [{section}] of {_files()} cannot be read ({_line(exc)}). Write %% for a per cent sign, and set "
            "each environment variable that is named as ${NAME}."
        ) from exc


def _files() -> str:
    """The files that Luigi read its settings from."""
    paths: Iterable[str] = luigi.configuration.LuigiConfigParser._config_paths  # noqa: SLF001 (there is no public name)
    return " and ".join(str(Path(path).absolute()) for path in paths if Path(path).is_file()) or "luigi.cfg"


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())

"""Luigi's settings: the project's defaults, and checks of luigi.cfg and the command line.

Luigi reads luigi.cfg from the current folder, so that a command of cron or of an installed wheel may find none.
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
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import ParameterVisibility
from luigi.task_register import Register

from tasks.errors import SettingError

#: Defaults by section and key.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "core": {
        "local_scheduler": "true",
        "log_level": "WARNING",
        # The runs' own locks make one of the same dataset and date wait; Luigi's lock knows only the same command line.
        "no_lock": "true",
    },
    "worker": {
        "check_complete_on_run": "true",
        # With luigid: wait for the tasks of other workers, and take over tasks that they leave.
        "keep_alive": "true",
    },
    # A failed stage has the exit code of its error, see tasks/errors.py.
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}
#: Classes of Luigi's own parameters.
_SECTIONS = (luigi.interface.core, luigi.worker.worker, luigi.retcodes.retcode)


def set_defaults() -> None:
    """Set each of `DEFAULTS` that luigi.cfg does not set.

    Raises:
        SystemExit: luigi.cfg has a value that cannot be read, which a message on standard error names. The exit code is
            that of `SettingError`.
    """
    try:
        config = _read_config()
        for section, values in DEFAULTS.items():
            for key, value in values.items():
                if not config.has_option(section, key):
                    config.set(section, key, value)
        check_luigi_parameters()
    except SettingError as exc:
        # Luigi imports `pipeline`, which calls this, before it handles errors.
        print(f"ERROR: {exc}", file=sys.stderr)  # noqa: T201 (the program ends here)
        raise SystemExit(exc.exit_code) from exc


def check_luigi_parameters() -> None:
    """Check Luigi's own parameters, from luigi.cfg and the command line.

    Raises:
        SettingError: A value has the wrong type, or --workers is below 1.
    """
    for section in _SECTIONS:
        try:
            section()
        except (ValueError, luigi.parameter.ParameterException) as exc:
            raise SettingError(
                f"A parameter of Luigi's [{section.__name__}] has a value that it cannot take ({_one_line(exc)}: "
                f"{_one_line(exc.__cause__ or exc)}). Correct it on the command line or in luigi.cfg."
            ) from exc
    workers = luigi.interface.core().workers
    if workers < 1:
        raise SettingError(f"--workers is {workers}; it takes a whole number of at least 1.")


def refuse_empty(words: Sequence[str]) -> None:
    """Refuse an empty word of the command line, as of a shell's unset variable: Luigi would take the default.

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
    """Raise SettingError for a task's parameter that is empty in luigi.cfg."""
    config, section = luigi.configuration.get_config(), task.get_task_family()
    for name, _ in task.get_params():
        if config.get(section, name, "unset") == "":
            raise SettingError(f"{name} in [{section}] of luigi.cfg is empty. Give it a value, or remove the line.")


def hide_private_values(parser: CmdlineParser) -> None:
    """Remove the values of private parameters from `sys.argv`, which Luigi's e-mails quote."""
    for task, _, name, parameter in Register.get_all_params():
        if parameter.visibility is ParameterVisibility.PRIVATE:
            for option in (name, f"{task}_{name}"):
                if value := getattr(parser.known_args, option, None):
                    sys.argv[:] = [word.replace(value, "…") for word in sys.argv]


def _read_config() -> luigi.configuration.LuigiConfigParser:
    try:
        config: luigi.configuration.LuigiConfigParser = luigi.configuration.get_config()
        for section in config.sections():
            for key in config.options(section):
                _check_value(config, section, key)
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise SettingError(f"{_config_files()} cannot be read ({_one_line(exc)}). Correct that line.") from exc
    return config


def _check_value(config: luigi.configuration.LuigiConfigParser, section: str, key: str) -> None:
    try:
        config.get(section, key)
    except configparser.InterpolationError as exc:
        raise SettingError(
            f"{key} in [{section}] of {_config_files()} cannot be read ({_one_line(exc)}). Write %% for a per cent "
            "sign, and set each environment variable that is named as ${NAME}."
        ) from exc


def _config_files() -> str:
    """The files that Luigi has read, as text."""
    paths: Iterable[str] = luigi.configuration.LuigiConfigParser._config_paths  # noqa: SLF001 (there is no public name)
    return " and ".join(str(Path(path).absolute()) for path in paths if Path(path).is_file()) or "luigi.cfg"


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())

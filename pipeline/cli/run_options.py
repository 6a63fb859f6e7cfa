"""The parameters of RetrainFlowers as options of a verb, which then means exactly the run that luigi would start."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import luigi
import typer
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import ParameterVisibility

from pipeline.retrain import RetrainFlowers
from tasks.errors import PipelineError

#: Exit code of an invalid value, as of an unknown option.
USAGE = 2


def run_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Decorate a verb to take every parameter of RetrainFlowers as an option.

    The first argument of the verb is the task; the others are arguments and options of its own, annotated for typer.
    For an invalid value of a parameter the decorated verb exits with 2.
    """
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]
    parameters: Mapping[str, luigi.Parameter[Any]] = dict(RetrainFlowers.get_params())

    @functools.wraps(verb)
    def with_options(**given: Any) -> None:
        words = [_word(name, given.pop(name)) for name in parameters]
        verb(_task([word for word in words if word]), **given)

    options = [_option(name, parameter) for name, parameter in parameters.items()]
    signature = inspect.Signature([option.replace(kind=option.KEYWORD_ONLY) for option in (*own, *options)])
    with_options.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
    with_options.__annotations__ = {name: option.annotation for name, option in signature.parameters.items()}
    return with_options


def _option(name: str, parameter: luigi.Parameter[Any]) -> inspect.Parameter:
    default = _default(parameter)
    flag = isinstance(parameter, luigi.BoolParameter)
    option = typer.Option(
        "--" + name.replace("_", "-"),
        help=str(parameter.description),
        show_default=default not in (False, ""),
        metavar=None if flag else "VALUE",
        rich_help_panel="Parameters of the run",
    )
    kind = Annotated[bool, option] if flag else Annotated[str, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _default(parameter: luigi.Parameter[Any]) -> str | bool:
    """The default value, as on a command line: from luigi.cfg, else from the source.

    Empty where there is neither, or where luigi.cfg has an invalid one: Luigi refuses it when it makes the task. Empty
    also for a secret, which `--help` would show.
    """
    if parameter.visibility is ParameterVisibility.PRIVATE:
        return ""
    name = parameter._attribute_name  # noqa: SLF001 (Luigi has no public name for it)
    try:
        value = parameter.task_value("RetrainFlowers", name)
    except (PipelineError, luigi.parameter.ParameterException, ValueError):
        return ""
    if isinstance(parameter, luigi.BoolParameter):
        return bool(value)
    text: str = parameter.serialize(value)
    return text


def _word(name: str, value: str | bool) -> str:
    """The word of luigi's command line for a value of typer's; empty where no value was given."""
    option = "--" + name.replace("_", "-")
    if value is True:
        return option
    return f"{option}={value}" if value else ""


def _task(words: list[str]) -> RetrainFlowers:
    try:
        with CmdlineParser.global_instance(["RetrainFlowers", *words]) as parser:
            task: RetrainFlowers = parser.get_task_obj()
            return task
    except (PipelineError, luigi.parameter.ParameterException) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(USAGE) from exc

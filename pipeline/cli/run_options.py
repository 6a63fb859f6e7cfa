"""The parameters of RetrainFlowers as options of a verb: a verb asks about exactly what luigi would run."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import luigi
import typer
from luigi.cmdline_parser import CmdlineParser

from pipeline.retrain import RetrainFlowers
from tasks.errors import PipelineError

#: A value that cannot be is an error of usage, as an unknown option is.
USAGE = 2


def about_a_run(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb every parameter of RetrainFlowers as an option.

    Args:
        verb: Its first argument is the task; the others are arguments and options of its own, annotated for typer.

    Returns:
        The verb for typer, which ends with exit code 2 where a parameter's value cannot be.
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
    """The value without an option, as a command line has it: that of luigi.cfg, else that of the source.

    Empty where there is neither, or where luigi.cfg has one that cannot be: Luigi says so when the task is made.
    """
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
    """The word that says on luigi's command line what typer was given; empty where that is nothing."""
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

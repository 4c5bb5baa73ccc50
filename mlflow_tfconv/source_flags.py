"""Options of `tfconv inspect` and `tfconv convert`: what a model's files leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(
    path_type=Path
)  # a checkpoint's prefix is no file: the readers say what is there

_FLAGS = (
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="[NAME=]TENSOR",
        help="A tensor, layer or signature key that is an input; can be given several times.",
    ),
    click.option(
        "--output",
        "outputs",
        multiple=True,
        metavar="[NAME=]TENSOR",
        help="The same of an output.",
    ),
    click.option("--weights", type=_FILE, help="The weights of an architecture."),
    click.option(
        "--architecture", type=_FILE, help="The architecture of weights: JSON, YAML, .cfg, a graph."
    ),
    click.option("--signature", help="Which signature of a SavedModel."),
    click.option(
        "--tag", "tags", multiple=True, help="A tag of the MetaGraph; can be given several times."
    ),
    click.option(
        "--backend",
        "original_backend",
        type=click.Choice(["tensorflow", "theano"]),
        help="What a model of Keras 1 was trained on.",
    ),
    click.option(
        "--use-ema/--no-use-ema",
        default=None,
        help="Take the moving averages of the weights, or the weights.",
    ),
    click.option("--ema-suffix", help="Take the moving averages with this suffix."),
    click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="INPUT=1,224,224,3",
        help="The whole shape of an input, with ? where it varies; can be given several times.",
    ),
    click.option(
        "--trust", is_flag=True, help="Run what the file says: only for files that you trust."
    ),
    click.option("--time-limit", "time_limit_s", type=float, help="Most seconds for each part."),
    click.option("--memory-limit", "memory_limit_mb", type=float, help="Most memory, in MB."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def source_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def arguments_of(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `convert` that the options stand for.

    Raises:
        click.BadParameter: An option is not written as it should be.
    """
    arguments = dict(flags)
    suffix = arguments.pop("ema_suffix")
    if suffix is not None:
        arguments["use_ema"] = suffix
    for name in ("inputs", "outputs"):
        arguments[name] = _tensors(arguments[name])
    arguments["tags"] = arguments["tags"] or None
    arguments["shapes"] = dict(map(_shape, arguments["shapes"])) or None
    return arguments


def _tensors(texts: Sequence[str]) -> Any:
    """A dict when a name is given, else the tensors as they are."""
    if not any("=" in text for text in texts):
        return list(texts) or None
    return {name: tensor or name for name, _, tensor in (text.partition("=") for text in texts)}


def _shape(text: str) -> tuple[str, tuple[int | None, ...]]:
    name, equals, sizes = text.partition("=")
    try:
        shape = tuple(None if s.strip() in ("?", "any") else int(s) for s in sizes.split(","))
    except ValueError:
        equals = ""
    if not equals:
        raise click.BadParameter(f"{text!r} is not of the form INPUT=1,224,224,3.")
    return name, shape

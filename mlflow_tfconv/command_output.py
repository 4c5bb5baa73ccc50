"""What `tfconv inspect` and `tfconv convert` print, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlflow_tfconv.artifacts import ConvertedModel, TensorSpec
from mlflow_tfconv.engine.events import Progress, ignore
from mlflow_tfconv.formats.known_formats import FORMATS
from mlflow_tfconv.steps.convert.inspection import ModelInfo

_TITLES = {"saved_model": "SavedModel", "onnx": "ONNX"}


def json_of(value: Any) -> str:
    """A result as JSON; numbers that JSON lacks are written as "inf" and "nan"."""
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def print_info(info: ModelInfo) -> None:
    """What was found, with what is missing and wrong below."""
    console = _console()
    console.print(Text(str(info.path), style="bold"))
    table = _rows()
    detail = f": {info.detail}" if info.detail else ""
    table.add_row("format", Text(FORMATS[info.format] + detail))
    weights = "" if info.parameters is None else f", {info.parameters:,} parameters"
    table.add_row("size", f"{info.size_bytes / 1e6:,.3f} MB{weights}")
    _add_signature(table, info.inputs, info.outputs)
    if len(info.signatures) > 1:
        table.add_row("signatures", Text(", ".join(info.signatures)))
    _add_notes(table, info.choices, info.warnings)
    for text in info.missing:
        table.add_row(Text("missing", style="yellow"), Text(text))
    for text in info.problems:
        table.add_row(Text("problem", style="red"), Text(text))
    if info.convertible:
        table.add_row("convert", Text(f"tfconv convert {info.path} OUTPUT"))
    _print(console, table)


def print_converted(converted: ConvertedModel) -> None:
    """The files, how closely they agree with the source, and what was assumed."""
    console = _console()
    files = {"saved_model": converted.saved_model, "onnx": converted.onnx}
    table = _rows()
    for name, path in files.items():
        if path is not None:
            report = converted.parity[name]
            table.add_row(
                _TITLES[name],
                Text(f"{path}\nagrees: largest difference {report.max_abs_error:.3g}"),
            )
    _add_signature(table, converted.inputs, converted.outputs)
    _add_notes(table, converted.choices, converted.warnings)
    _print(console, table)


@contextmanager
def progress_shown() -> Iterator[Callable[[Any], None]]:
    """Gives who takes the events; on a terminal the part that is going on is shown."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ignore
        return
    with console.status("starting") as status:

        def show(event: Any) -> None:
            if isinstance(event, Progress):
                status.update(Text(f"{event.detail} ({event.done:g} of {event.total:g})"))

        yield show


def _console() -> Console:
    """Of a terminal's width; without a terminal lines are not broken."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)


def _print(console: Console, table: Table) -> None:
    """Without the blanks that fill the last column."""
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip())


def _rows() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    return table


def _add_signature(
    table: Table, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    for kind, specs in (("input", inputs), ("output", outputs)):
        for spec in specs:
            sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
            table.add_row(kind, Text(f"{spec.name}  {spec.dtype} ({sizes})"))


def _add_notes(table: Table, choices: tuple[Any, ...], warnings: tuple[str, ...]) -> None:
    for choice in choices:
        table.add_row("choice", Text(str(choice)))
    for warning in warnings:
        table.add_row(Text("warning", style="yellow"), Text(warning))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value

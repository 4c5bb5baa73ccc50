"""The console script `tfconv`, also `python -m mlflow_tfconv`: the steps on single files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import click

from mlflow_tfconv.errors import TfconvError

Format = Literal["saved_model", "onnx"]
Quantize = Literal["float16", "dynamic_int8", "static_int8"]
_FILE = click.Path(exists=True, path_type=Path)
_NEW = click.Path(path_type=Path)


@contextmanager
def _spoken_errors() -> Iterator[None]:
    """Our errors are a red message and exit code 1."""
    try:
        yield
    except TfconvError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)


@click.group()
@click.version_option(package_name="mlflow-tfconv")
def main() -> None:
    """Inspect, convert, compress and benchmark Keras and TensorFlow models."""


@main.command()
@click.argument("model", type=_FILE)
def inspect(model: Path) -> None:
    """Say what MODEL is: its format, inputs, outputs, and what is missing."""
    with _spoken_errors():
        from mlflow_tfconv.steps.convert.inspection import inspect_model

        click.echo(str(inspect_model(model)))


@main.command()
@click.argument("model", type=_FILE)
@click.argument("output", type=_NEW)
@click.option(
    "--format",
    "-f",
    "formats",
    type=click.Choice(["saved_model", "onnx"]),
    multiple=True,
    default=("saved_model", "onnx"),
    show_default=True,
    help="What to write; can be given twice.",
)
def convert(model: Path, output: Path, formats: tuple[Format, ...]) -> None:
    """Convert MODEL to a SavedModel and ONNX in the folder OUTPUT, and check that they agree."""
    with _spoken_errors():
        from mlflow_tfconv.steps.convert.step import convert as convert_model

        converted = convert_model(model, output, formats=formats)
        for path in filter(None, (converted.saved_model, converted.onnx)):
            click.echo(str(path))
        for name, report in converted.parity.items():
            click.echo(f"  {name}: largest difference {report.max_abs_error:.3g}, passed")
        for note in converted.notes:
            click.echo(f"  {note}")


@main.command()
@click.argument("model", type=_FILE)
@click.argument("output", type=_NEW)
@click.option(
    "--quantize", "-q", type=click.Choice(get_args(Quantize)), help="How the numbers get smaller."
)
@click.option("--sparsity", type=float, help="Share of weights to set to zero, in one shot.")
@click.option(
    "--calibration",
    type=_FILE,
    help="An .npz of real inputs, one array an input, for static_int8.",
)
def compress(
    model: Path,
    output: Path,
    quantize: Quantize | None,
    sparsity: float | None,
    calibration: Path | None,
) -> None:
    """Make a smaller variant of the ONNX file MODEL and say what is really inside."""
    with _spoken_errors():
        from mlflow_tfconv.steps.compress.step import compress as compress_model

        prune = None if sparsity is None else {"sparsity": sparsity}
        batches = None if calibration is None else [_arrays(calibration)]
        variant = compress_model(model, output, quantize=quantize, prune=prune, calibration=batches)
        before = model.stat().st_size
        after = variant.path.stat().st_size
        click.echo(f"{variant.path}  {after / 1e6:.3f} MB, was {before / 1e6:.3f} MB")
        if variant.audit is not None:
            held = ", ".join(f"{n:,} B {t}" for t, n in variant.audit.weights_bytes.items())
            click.echo(f"  weights: {held}; sparsity {variant.audit.sparsity:.1%}")


@main.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda:0 or tensorrt:0.")
@click.option(
    "--batch-size", "-b", "batch_sizes", type=int, multiple=True, default=(1, 32), show_default=True
)
def benchmark(models: tuple[str, ...], device: str, batch_sizes: tuple[int, ...]) -> None:
    """Compare MODELS (files, or name=file), each in a process of its own."""
    with _spoken_errors():
        from rich.console import Console

        from mlflow_tfconv.engine.card_text import table_text
        from mlflow_tfconv.steps.benchmark.step import benchmark as benchmark_models

        report = benchmark_models(_named(models), device=device, batch_sizes=batch_sizes)
        Console().print(table_text(report.table()))


@main.command()
def doctor() -> None:
    """Say what state TensorFlow, ONNX Runtime, CUDA and MLflow are in, and what to mend."""
    from mlflow_tfconv.doctor import diagnose, print_diagnosis

    sys.exit(print_diagnosis(diagnose()))


def _named(models: tuple[str, ...]) -> dict[str, Path]:
    """`name=file` pairs; a file without a name gets its own."""
    named: dict[str, Path] = {}
    for text in models:
        name, equals, path = text.partition("=")
        file = Path(path if equals else text)
        named[name if equals else file.stem] = file
    return named


def _arrays(path: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        return dict(file)


if __name__ == "__main__":
    main(prog_name="tfconv")

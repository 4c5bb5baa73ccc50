"""The console script `tfconv`, also `python -m mlflow_tfconv`: the steps on single files."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import click

from mlflow_tfconv.benchmark_flags import Outputs, arrays, benchmark_flags
from mlflow_tfconv.environment import set_defaults
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.interruption import ended_in_order
from mlflow_tfconv.source_flags import arguments_of, source_flags

Format = Literal["saved_model", "onnx"]
Quantize = Literal["float16", "dynamic_int8", "static_int8"]
_PATH = click.Path(
    path_type=Path
)  # a checkpoint's prefix is no file: the readers say what is there


@contextmanager
def _spoken_errors() -> Iterator[None]:
    """Our errors are a red message and exit code 1, Ctrl-C is exit code 130."""
    try:
        yield
    except TfconvError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@click.group()
@click.version_option(package_name="mlflow-tfconv")
def main() -> None:
    """Inspect, convert, compress and benchmark Keras and TensorFlow models."""
    # TensorFlow's INFO chatter is off, unless the user wants it; its warnings stay.
    set_defaults()
    # Python ends with a search for garbage, which takes a second among TensorFlow's modules.
    atexit.register(gc.freeze)


@main.command()
@click.argument("model", type=_PATH)
@source_flags
def inspect(model: Path, as_json: bool, **flags: Any) -> None:
    """Say what MODEL is: its format, inputs, outputs, and what is missing.

    Exit code 1 means that it has a problem.
    """
    with _spoken_errors():
        from mlflow_tfconv.command_output import json_of, print_info
        from mlflow_tfconv.steps.convert.inspection import inspect_model

        info = inspect_model(model, **arguments_of(flags))
        if as_json:
            click.echo(json_of(info))
        else:
            print_info(info)
        sys.exit(1 if info.problems else 0)


@main.command()
@click.argument("model", type=_PATH)
@click.argument("output", type=_PATH)
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
@click.option("--opset", type=int, help="Version of the ONNX operator set, 13 to 18.")
@click.option("--layout", type=click.Choice(["nchw", "nhwc"]), help="How inputs hold images.")
@click.option(
    "--precision", type=click.Choice(["float16", "bfloat16"]), help="What the exports compute in."
)
@click.option("--tolerance", type=float, help="What the outputs may differ by.")
@source_flags
def convert(
    model: Path, output: Path, formats: tuple[Format, ...], as_json: bool, **flags: Any
) -> None:
    """Convert MODEL to a SavedModel and ONNX in the folder OUTPUT, and check that they agree.

    Exit code 1 means that nothing was written: MODEL can't be read or converted, or a file that
    was written did not agree with it.
    """
    with _spoken_errors():
        from mlflow_tfconv.command_output import json_of, print_converted, progress_shown
        from mlflow_tfconv.steps.convert.function import convert as convert_model

        with progress_shown() as emit:
            arguments = arguments_of(flags)
            converted = convert_model(model, output, formats=formats, emit=emit, **arguments)
        if as_json:
            click.echo(json_of(converted))
        else:
            print_converted(converted)


@main.command()
@click.argument("model", type=_PATH)
@click.argument("output", type=_PATH)
@click.option(
    "--quantize", "-q", type=click.Choice(get_args(Quantize)), help="How the numbers get smaller."
)
@click.option("--sparsity", type=float, help="Share of weights to set to zero, in one shot.")
@click.option(
    "--calibration",
    type=_PATH,
    help="An .npz of real inputs, one array an input, for static_int8.",
)
def compress(
    model: Path,
    output: Path,
    quantize: Quantize | None,
    sparsity: float | None,
    calibration: Path | None,
) -> None:
    """Make a smaller ONNX file OUTPUT of MODEL and say what is really inside.

    MODEL is an ONNX file, or a Keras file or SavedModel, which is converted first.
    """
    with _spoken_errors():
        from mlflow_tfconv.steps.compress.step import compress as compress_model

        prune = None if sparsity is None else {"sparsity": sparsity, "epochs": 0}
        samples = None if calibration is None else arrays(calibration, "calibration data")
        variant = compress_model(model, output, quantize=quantize, prune=prune, calibration=samples)
        click.echo(f"{variant.path}  {_megabytes(variant.path)}, was {_megabytes(model)}")
        if variant.audit is not None:
            held = ", ".join(f"{n:,} B {t}" for t, n in variant.audit.weights_bytes.items())
            click.echo(f"  weights: {held}; sparsity {variant.audit.sparsity:.1%}")


@main.command()
@click.argument("models", nargs=-1, required=True)
@benchmark_flags
def benchmark(
    models: tuple[str, ...],
    json_file: str | None,
    html_file: Path | None,
    conditions: tuple[str, ...],
    **flags: Any,
) -> None:
    """Compare MODELS (ONNX files, SavedModels, Keras files), each in a process of its own.

    A model can be given a name: old=a.onnx new=b.onnx. The first, or one named base, is the
    reference of the others.

    A condition compares numbers with < <= > >= == !=, calculates with + - * / and joins with and,
    or, not; parentheses group. A number is variant.metric: "int8.quality/accuracy < 0.9". Names
    with other letters than a-z, 0-9, _ - / . are quoted: 'my new'.latency/p50_ms. A variant in
    several formats is named with it: base/onnx.sparsity. Behind a metric, .low and .high are the
    bounds of its 95 % interval: new.latency/p50_ms.low > old.latency/p50_ms.high. What was timed in
    turn with the reference has a .ratio to it, with .ratio.low and .ratio.high, that a busy machine
    moves least: new.latency/p50_ms.ratio.low > 1.05. Between two metrics - and / need blanks.

    \b
    Exit codes:
      0  everything was measured, and no condition is met
      1  a model could not be measured, or a file not be written
      2  the command or a condition can't be understood, or names what was not measured
      3  a condition is met (also when another model could not be measured)
      130, 143  it was interrupted, killed: nothing is left running, no file half-written
    """  # noqa: D301 (click looks for this character: it keeps the lines)
    with _spoken_errors(), ended_in_order():
        from mlflow_tfconv.benchmark_run import compare

        outputs = Outputs(json=json_file, html=html_file)
        if os.environ.get("COLUMNS", "").isdigit():
            outputs = replace(outputs, width=int(os.environ["COLUMNS"]))
        sys.exit(compare(models, conditions, outputs, **flags))


@main.command()
def doctor() -> None:
    """Say what state TensorFlow, ONNX Runtime, CUDA and MLflow are in, and what to mend."""
    from mlflow_tfconv.doctor import diagnose, print_diagnosis

    sys.exit(print_diagnosis(diagnose()))


def _megabytes(path: Path) -> str:
    from mlflow_tfconv.formats.model_files import model_bytes

    return f"{model_bytes(path) / 1e6:,.3f} MB"


if __name__ == "__main__":
    main(prog_name="tfconv")

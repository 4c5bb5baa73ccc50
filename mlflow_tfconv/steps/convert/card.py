"""The card of the step `convert`."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import ConvertedModel, TensorSpec
from mlflow_tfconv.engine.cards import Card, Table, Text
from mlflow_tfconv.formats.recognition import recognised

_NAMES = {"saved_model": "SavedModel", "onnx": "ONNX"}


def card_of(converted: ConvertedModel, parameters: int) -> Card:
    """Inputs and outputs, the verdict on each export, sizes and notes."""
    formats = " and ".join(_NAMES[name] for name in converted.parity)
    worst = max(report.max_abs_error for report in converted.parity.values())
    examples = next(iter(converted.parity.values())).examples
    return Card(
        title=f"{formats} agree with the source: largest difference {worst:.2g} "
        f"on {examples} examples",
        parts=(
            Text(text=f"Source: {recognised(converted.source)}, {parameters:,} parameters."),
            _signature(converted),
            _parity(converted),
            _sizes(converted),
            *(Text(text=str(choice)) for choice in converted.choices),
            *(Text(text=warning) for warning in converted.warnings),
        ),
    )


def _signature(converted: ConvertedModel) -> Table:
    return Table(
        columns=("", "name", "dtype", "shape"),
        rows=(
            *(("input", *_words(spec)) for spec in converted.inputs),
            *(("output", *_words(spec)) for spec in converted.outputs),
        ),
        caption="Inputs and outputs, the same in every format",
    )


def _words(spec: TensorSpec) -> tuple[str, str, str]:
    sizes = ["any" if size is None else str(size) for size in spec.shape]
    if spec.shape and spec.shape[0] is None:
        sizes[0] = "batch"
    return spec.name, spec.dtype, f"({', '.join(sizes)})"


def _parity(converted: ConvertedModel) -> Table:
    rows = tuple(
        (
            _NAMES[name],
            f"{report.max_abs_error:.3g}",
            f"{report.max_rel_error:.3g}",
            f"{report.absolute_tolerance:g} + {report.relative_tolerance:g} x |value|",
            f"{report.examples} ({report.samples})",
            "agrees" if report.passed else f"disagrees: {report.problem}",
        )
        for name, report in converted.parity.items()
    )
    columns = ("format", "max abs error", "max rel error", "allowed", "examples", "verdict")
    return Table(columns=columns, rows=rows, caption="Outputs compared with the source")


def _sizes(converted: ConvertedModel) -> Table:
    paths = {
        "source": converted.source,
        "SavedModel": converted.saved_model,
        "ONNX": converted.onnx,
    }
    rows = tuple(
        (name, path.name, f"{_size_bytes(path) / 1e6:,.3f}")
        for name, path in paths.items()
        if path is not None and path.exists()
    )
    return Table(columns=("format", "file", "size (MB)"), rows=rows)


def _size_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())

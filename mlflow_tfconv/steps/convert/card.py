"""The card of the step `convert`."""

from __future__ import annotations

from mlflow_tfconv.artifacts import ConvertedModel, TensorSpec
from mlflow_tfconv.engine.cards import Card, Table, Text
from mlflow_tfconv.formats.known_formats import FORMATS
from mlflow_tfconv.formats.model_files import model_bytes
from mlflow_tfconv.runtimes.parity_rows import COLUMNS, parity_rows

_NAMES = {"saved_model": "SavedModel", "onnx": "ONNX"}


def card_of(converted: ConvertedModel, parameters: int) -> Card:
    """Inputs and outputs, the verdict on each export, sizes and notes."""
    formats = " and ".join(_NAMES[name] for name in converted.parity)
    worst = max(report.max_abs_error for report in converted.parity.values())
    first = next(iter(converted.parity.values()))
    source = FORMATS.get(converted.source_format, converted.source_format)
    return Card(
        title=f"{formats} agree with the source: largest difference {worst:.2g} "
        f"on {first.examples} examples",
        parts=(
            Text(text=f"Source: {source}, {parameters:,} parameters."),
            _signature(converted),
            *_onnx_signature(converted),
            Table(
                columns=COLUMNS,
                rows=parity_rows(converted.parity, _NAMES),
                caption=f"Outputs compared with the source, on {first.samples}",
            ),
            _sizes(converted),
            *_choices(converted),
            *(Text(text=warning) for warning in converted.warnings),
        ),
    )


def _signature(converted: ConvertedModel) -> Table:
    caption = "Inputs and outputs, the same in every format"
    if converted.onnx_inputs is not None:
        caption = "Inputs and outputs of the SavedModel"
    return _table(converted.inputs, converted.outputs, caption)


def _onnx_signature(converted: ConvertedModel) -> tuple[Table, ...]:
    """Of a model that ONNX can't have as a whole."""
    if converted.onnx_inputs is None:
        return ()
    outputs = converted.onnx_outputs or converted.outputs
    return (_table(converted.onnx_inputs, outputs, "Inputs and outputs of the ONNX file"),)


def _table(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], caption: str) -> Table:
    rows = (
        *(("input", *_words(spec)) for spec in inputs),
        *(("output", *_words(spec)) for spec in outputs),
    )
    return Table(columns=("", "name", "dtype", "shape"), rows=rows, caption=caption)


def _choices(converted: ConvertedModel) -> tuple[Table, ...]:
    """What the files left open: what was taken, and how to take something else."""
    if not converted.choices:
        return ()
    rows = tuple(
        (c.what, c.chosen, c.reason, ", ".join(c.alternatives), c.argument or "")
        for c in converted.choices
    )
    columns = ("what", "taken", "why", "instead", "argument")
    return (Table(columns=columns, rows=rows, caption="What the source leaves open"),)


def _words(spec: TensorSpec) -> tuple[str, str, str]:
    sizes = ["any" if size is None else str(size) for size in spec.shape]
    if spec.shape and spec.shape[0] is None:
        sizes[0] = "batch"
    return spec.name, spec.dtype, f"({', '.join(sizes)})"


def _sizes(converted: ConvertedModel) -> Table:
    paths = {
        "source": converted.source,
        "SavedModel": converted.saved_model,
        "ONNX": converted.onnx,
    }
    rows = tuple(
        (name, path.name, f"{model_bytes(path) / 1e6:,.3f}")
        for name, path in paths.items()
        if path is not None and path.exists()
    )
    return Table(columns=("format", "file", "size (MB)"), rows=rows)

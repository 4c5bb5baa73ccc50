"""What the tracking server and the card are told about variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_tfconv.artifacts import TensorSpec, Variant
from mlflow_tfconv.engine.cards import Card, Table, Text
from mlflow_tfconv.engine.events import Event, Metric, ModelFile, VariantRun
from mlflow_tfconv.steps.compress.config import PruneConfig

_MB = 1e6
_COLUMNS = (
    "variant",
    "size",
    "gzip",
    "weights",
    "zeros",
    "integer nodes",
    "parity",
    "notes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A variant with what is said about it besides.

    Attributes:
        variant: The variant.
        prune: How it was pruned, or None.
        history: Metric name to one value an epoch of its fine-tuning.
        notes: What a reader should know.
    """

    variant: Variant
    prune: PruneConfig | None = None
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def footprint(variant: Variant) -> Iterator[Event]:
    """Sizes and sparsity, as metrics of the variant's run."""
    audit = variant.audit
    if audit is None:
        return
    numbers = {
        "footprint/size_mb": audit.size_bytes / _MB,
        "footprint/compressed_mb": audit.compressed_bytes / _MB,
        "footprint/weights_mb": sum(audit.weights_bytes.values()) / _MB,
        "sparsity": audit.sparsity,
    }
    for name, value in numbers.items():
        yield Metric(name=name, value=value, run=variant.run_name)


def variant_events(
    row: Row,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    examples: Path | None,
) -> Iterator[Event]:
    """All that is logged of a variant that was made here, the run itself first."""
    variant, run = row.variant, row.variant.run_name
    params = {
        "variant": variant.name,
        "format": variant.format,
        "technique": variant.technique,
        "precision": variant.precision,
        "target_sparsity": row.prune.sparsity if row.prune else 0.0,
    }
    if row.prune:
        params |= {"prune_schedule": row.prune.schedule, "prune_epochs": row.prune.epochs}
    yield VariantRun(run=run, fingerprint=variant.fingerprint, params=params)
    yield from footprint(variant)
    if variant.parity is not None:
        yield Metric(name="parity/max_abs_error", value=variant.parity.max_abs_error, run=run)
    for name, values in row.history.items():
        for epoch, value in enumerate(values):
            yield Metric(name=f"training/finetune_{name}", value=value, step=epoch, run=run)
    yield ModelFile(
        run=run,
        format=variant.format,
        path=variant.path,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        examples=examples,
    )


def size_note(variant: Variant, base: Variant) -> tuple[str, ...]:
    """Says so when a variant is not smaller than what it was made of."""
    if variant.audit is None or base.audit is None:
        return ()
    if variant.audit.compressed_bytes < base.audit.compressed_bytes:
        return ()
    return (f"not smaller than {base.run_name}, not even compressed",)


def float_note(variant: Variant) -> tuple[str, ...]:
    """Names the products that stayed in float in an int8 variant."""
    if variant.precision != "int8" or variant.audit is None or not variant.audit.float_nodes:
        return ()
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(variant.audit.float_nodes.items()))
    return (f"in float: {kinds}",)


def card(rows: Sequence[Row]) -> Card:
    """The table of all variants."""
    made = [row for row in rows if row.variant.name != "base"]
    table = Table(
        columns=_COLUMNS,
        rows=tuple(_cells(row) for row in rows),
        caption="Sizes in MB (10^6 bytes); zeros among the weights of rank 2 and more.",
    )
    tuned: dict[str, list[str]] = {}
    for row in made:
        if row.history:
            tuned.setdefault(_tuning(row), []).append(row.variant.name)
    texts = [Text(text=f"{', '.join(names)}: {text}") for text, names in tuned.items()]
    title = f"{len(made)} variant{'' if len(made) == 1 else 's'}, audited"
    return Card(title=title, parts=(table, *texts))


def _tuning(row: Row) -> str:
    changes = [
        f"{name} {values[0]:.4f} to {values[-1]:.4f}"
        for name, values in row.history.items()
        if values
    ]
    epochs = row.prune.epochs if row.prune else 0
    return f"fine-tuned for {epochs} epochs, {', '.join(changes)}"


def _cells(row: Row) -> tuple[str, ...]:
    variant, audit = row.variant, row.variant.audit
    if audit is None:
        return (variant.run_name, *("",) * (len(_COLUMNS) - 2), "; ".join(row.notes))
    weights = ", ".join(
        f"{dtype} {size / _MB:.3f}" for dtype, size in audit.weights_bytes.items() if size >= 1000
    )
    return (
        variant.run_name,
        f"{audit.size_bytes / _MB:.3f}",
        f"{audit.compressed_bytes / _MB:.3f}",
        weights,
        f"{audit.sparsity:.1%}",
        str(audit.quantized_nodes) if variant.format == "onnx" else "",
        f"{variant.parity.max_abs_error:.1e}" if variant.parity else "",
        "; ".join(row.notes),
    )

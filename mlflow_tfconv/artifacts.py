"""The nouns that travel between steps: plain frozen values that know how to become JSON.

Paths inside a step's own folder are written relative to it, paths inside the store of results
relative to the store, so that a result can be moved, or made on another machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: The original's own name, without `:0`, with `/` and other `:n` written as `_`.
        dtype: A numpy dtype name, such as "float32", or "string".
        shape: One entry a dimension, None where it varies; the first is the batch.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Examples in shards, as `ingest` leaves them.

    Attributes:
        manifest: The manifest.json that lists schema, splits, shards and digest.
        digest: Content digest of all splits.
        counts: Number of examples of each split.
    """

    manifest: Path
    digest: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model on disk that can be converted.

    Attributes:
        path: A file or folder of any format that `convert` reads.
        history: Metric name to one value an epoch; empty when it was not trained here.
    """

    path: Path
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that the model's files leave open, and what was inferred or assumed.

    Attributes:
        what: The question, such as "outputs" or "is_training".
        chosen: The answer that was taken, in words or as the name of a tensor.
        alternatives: What could have been taken instead.
        argument: The argument of `convert` that chooses otherwise, such as "outputs"; None when
            no argument does.
        reason: Why this answer, in words.
    """

    what: str
    chosen: str
    alternatives: tuple[str, ...] = ()
    argument: str | None = None
    reason: str = ""

    def __str__(self) -> str:
        """In a sentence."""
        why = f" ({self.reason})" if self.reason else ""
        others = f"; instead: {', '.join(self.alternatives)}" if self.alternatives else ""
        how = f" (argument `{self.argument}`)" if self.argument and self.alternatives else ""
        return f"{self.what}: {self.chosen}{why}{others}{how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputParity:
    """How closely one output of an export agrees with the source's.

    Attributes:
        max_abs_error: Largest absolute difference over all examples.
        max_rel_error: It, relative to the largest magnitude of the source's values; 0 when both
            are zero everywhere.
        cosine: Smallest cosine similarity of an example's values; None for integers and strings.
        argmax_agreement: Share of examples whose largest value has the same place; None where
            that makes no sense.
        not_finite: Number of NaN and infinite values in the source's output.
        exceeded: Number of values beyond tolerance.
    """

    max_abs_error: float
    max_rel_error: float = 0.0
    cosine: float | None = None
    argmax_agreement: float | None = None
    not_finite: int = 0
    exceeded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """The verdict on whether two model files give the same outputs.

    Attributes:
        reference: Path of the source.
        candidate: Path of the export.
        passed: Whether every output is within tolerance everywhere.
        max_abs_error: Largest absolute difference over all outputs and examples.
        max_rel_error: Largest difference relative to the reference's largest magnitude.
        absolute_tolerance: What was allowed, absolutely.
        relative_tolerance: What was allowed, relative to each reference value.
        examples: Number of examples compared.
        outputs: Output name to how closely it agrees.
        problem: Why it failed, in words, or None.
        samples: What the examples were, in words.
        allowed: What was allowed, in words.
        first_divergence: The first layer or node whose values differ, or None when all agree or
            it can't be told.
    """

    reference: Path
    candidate: Path
    passed: bool
    max_abs_error: float
    max_rel_error: float
    absolute_tolerance: float
    relative_tolerance: float
    examples: int
    outputs: Mapping[str, OutputParity] = field(default_factory=dict)
    problem: str | None = None
    samples: str = "given samples"
    allowed: str = ""
    first_divergence: str | None = None

    def to_json(self) -> str:
        """All of it; numbers that JSON lacks are written as "inf" and "nan"."""
        return json.dumps(_plain(asdict(self)), indent=1, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity(Mapping[str, ParityReport]):
    """The verdicts on all exports of a model: format ("saved_model", "onnx") to its report.

    Attributes:
        reports: The same as a plain mapping.
    """

    reports: Mapping[str, ParityReport] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether there is a verdict, and every one is good."""
        return bool(self.reports) and all(report.passed for report in self.reports.values())

    @property
    def max_abs_error(self) -> float:
        """The largest of all absolute errors."""
        return max((report.max_abs_error for report in self.reports.values()), default=0.0)

    @property
    def max_rel_error(self) -> float:
        """The largest of all relative errors."""
        return max((report.max_rel_error for report in self.reports.values()), default=0.0)

    def to_json(self) -> str:
        """The reports by format, as their own `to_json` gives them."""
        return json.dumps(_plain(asdict(self)["reports"]), indent=1, allow_nan=False)

    def __getitem__(self, format: str) -> ParityReport:  # noqa: A002 (the word everywhere)
        return self.reports[format]

    def __iter__(self) -> Iterator[str]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """A model in every format that was asked for, each checked against the source.

    Attributes:
        source: The checkpoint that was converted.
        saved_model: The SavedModel's folder, or None when it was not asked for.
        onnx: The ONNX file, or None when it was not asked for.
        keras: A file that Keras 3 loads: the source itself, or what a source of an older Keras was
            translated to; None when there is none.
        inputs: The inputs.
        outputs: The outputs.
        onnx_inputs: Those of the ONNX file where it can't have the same, such as strings.
        onnx_outputs: As `onnx_inputs`.
        parity: Format ("saved_model", "onnx") to its verdict against the source.
        source_format: What the source was, a key of `formats.FORMATS`.
        choices: What the files left open and was inferred or assumed.
        warnings: What a user should know.
    """

    source: Path
    saved_model: Path | None
    onnx: Path | None
    keras: Path | None = None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    onnx_inputs: tuple[TensorSpec, ...] | None = None
    onnx_outputs: tuple[TensorSpec, ...] | None = None
    parity: Parity = field(default_factory=Parity)
    source_format: str = ""
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What is really inside a model file.

    Attributes:
        size_bytes: The file or folder with external data.
        compressed_bytes: The same after gzip.
        weights_bytes: Numpy dtype name to the bytes of weights held in it.
        sparsity: Share of zeros in the weights of rank 2 and more, 0 to 1.
        layer_sparsity: Name of each such weight to its share of zeros.
        quantized_nodes: Number of nodes that compute in integers.
        float_nodes: Operation type to the number of its nodes left in float that could be integer.
        findings: What contradicts the variant's name; empty when it is what it says.
    """

    size_bytes: int
    compressed_bytes: int
    weights_bytes: Mapping[str, int]
    sparsity: float
    layer_sparsity: Mapping[str, float] = field(default_factory=dict)
    quantized_nodes: int = 0
    float_nodes: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to ship the model: a file and what was done to it.

    Attributes:
        name: "base" or the name in recipe.yaml.
        format: "keras" | "saved_model" | "onnx".
        path: The file, or the SavedModel's folder.
        technique: What was done, such as "prune+static"; "none" for the base.
        precision: Type of the weights that matter: "float32", "float16", "int8".
        audit: What is really inside, or None when it was not looked at.
        session_options: ONNX Runtime session options the variant must be loaded with.
        fingerprint: Digest of the file and of what made it.
        parity: The verdict of its own export, or None when it has no source of its own.
    """

    name: str
    format: str
    path: Path
    technique: str = "none"
    precision: str = "float32"
    audit: Audit | None = None
    session_options: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    parity: ParityReport | None = None

    @property
    def run_name(self) -> str:
        """`<variant>/<format>`, the name of its run in MLflow."""
        return f"{self.name}/{self.format}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """All variants of one model, the base in its formats first.

    Attributes:
        variants: In the order of recipe.yaml.
        inputs: The inputs, the same in all.
        outputs: The outputs, the same in all.
    """

    variants: tuple[Variant, ...]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReport:
    """What was measured of one variant.

    Attributes:
        run_name: `<variant>/<format>`.
        metrics: Metric name (`latency/p50_ms`, ...) to value; what was not measured is absent.
        notes: "may be unstable, because ...", or what else a reader should know.
        failure: Why it could not be measured, or None.
        fingerprint: That of the variant.
        path: The file that was measured.
        intervals: Metric name to the bounds that hold its true value with 95 % confidence, where
            they are known.
    """

    run_name: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure: str | None = None
    fingerprint: str = ""
    path: Path | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What was measured of all variants, and in which surroundings.

    Attributes:
        rows: One a variant, in their order.
        environment: Device, threads, library versions, processor.
    """

    rows: tuple[VariantReport, ...]
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The choice of the gate.

    Attributes:
        run_name: The variant that was chosen.
        model_name: Its name in the model registry.
        alias: The alias that it gets.
        verdicts: Run name to what it missed; an empty tuple means that it passed.
        metrics: The chosen variant's metrics.
    """

    run_name: str
    model_name: str
    alias: str
    verdicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


#: What each step hands on.
NOUN_OF_STEP: dict[str, type] = {
    "ingest": Dataset,
    "train": Checkpoint,
    "convert": ConvertedModel,
    "compress": Variants,
    "benchmark": Reports,
    "register": Registration,
}

NOUNS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        TensorSpec,
        Choice,
        Dataset,
        Checkpoint,
        OutputParity,
        ParityReport,
        Parity,
        ConvertedModel,
        Audit,
        Variant,
        Variants,
        VariantReport,
        Reports,
        Registration,
    )
}


def _plain(value: Any) -> Any:
    """A value that every reader of JSON takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value

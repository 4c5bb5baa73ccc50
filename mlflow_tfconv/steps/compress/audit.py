"""What is really inside a model file, and whether that is what its name says."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlflow_tfconv.artifacts import Audit
from mlflow_tfconv.errors import AuditError
from mlflow_tfconv.formats.model_files import model_files
from mlflow_tfconv.steps.compress.integer_nodes import NodeCounts, integer_nodes
from mlflow_tfconv.steps.compress.stored_weights import StoredWeight, stored_weights

_CHUNK_BYTES = 1 << 20
_FLOATS = ("float16", "float32", "float64", "bfloat16")
_INTEGERS = ("int8", "uint8")
_NAMED = 3
# Rounding of a quantizer may bring back a handful of weights, never a twentieth of them.
_KEPT_SHARE_OF_ZEROS = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a variant says of itself.

    Attributes:
        precision: Type of its weights: "float32", "float16" or "int8".
        zeros: How many weights were pruned.
        other_share: Share of the weights that may be of another type all the same.
    """

    precision: str = "float32"
    zeros: int = 0
    other_share: float = 0.1


def audit(path: Path, format: str, promise: Promise = Promise()) -> Audit:  # noqa: A002
    """Looks into a model file.

    Args:
        path: The file, or the SavedModel's folder.
        format: "keras", "saved_model" or "onnx".
        promise: What it should be; `findings` tell where it is not.
    """
    weights = list(stored_weights(path, format))
    bytes_of: dict[str, int] = defaultdict(int)
    for weight in weights:
        bytes_of[weight.dtype] += weight.array.nbytes
    matrices = [w for w in weights if w.array.ndim >= 2 and w.dtype in _FLOATS + _INTEGERS]
    zeros = {w.name: int(np.count_nonzero(w.array == w.zero)) for w in matrices}
    size = sum(w.array.size for w in matrices)
    nodes = integer_nodes(path) if format == "onnx" else NodeCounts(integer=0, floating={})
    files = model_files(path)
    return Audit(
        size_bytes=sum(file.stat().st_size for file in files),
        compressed_bytes=sum(map(_gzip_bytes, files)),
        weights_bytes=dict(sorted(bytes_of.items())),
        sparsity=sum(zeros.values()) / size if size else 0.0,
        layer_sparsity={w.name: zeros[w.name] / max(w.array.size, 1) for w in matrices},
        quantized_nodes=nodes.integer,
        float_nodes=nodes.floating,
        findings=tuple(_findings(promise, matrices, sum(zeros.values()), nodes)),
    )


def require_kept(audit: Audit, name: str, technique: str) -> None:
    """Raises when an audit contradicts what the variant says of itself.

    Raises:
        AuditError: There are findings.
    """
    if audit.findings:
        done = "prune" if audit.findings[0].startswith("pruned") else technique.split("+")[-1]
        raise AuditError(
            f'The variant "{name}" is not what it says ({technique}).',
            received="; ".join(audit.findings),
            expected=f"a model to which `{technique}` was really done",
            fix=_FIXES[done],
        )


_FIXES = {
    "dynamic": "Dynamic quantization leaves convolutions in float: use `quantize: static_int8`.",
    "static": "Static quantization leaves recurrent cells in float: use `quantize: dynamic_int8`; "
    "or exclude less.",
    "float16": "Exclude less, or leave `quantize` out.",
    "prune": "Leave `prune` out: nothing of it is left in the file.",
}


def _findings(
    promise: Promise, matrices: list[StoredWeight], zeros: int, nodes: NodeCounts
) -> Iterable[str]:
    if promise.zeros and zeros < promise.zeros * _KEPT_SHARE_OF_ZEROS:
        yield f"pruned, but only {zeros:,} of {promise.zeros:,} pruned weights are zero"
    if promise.precision == "float32":
        return
    expected = _INTEGERS if promise.precision == "int8" else (promise.precision,)
    others = [w for w in matrices if w.dtype not in expected]
    share = sum(w.array.size for w in others) / max(sum(w.array.size for w in matrices), 1)
    if share > promise.other_share or not matrices:
        yield (
            f"{promise.precision}, but {share:.0%} of its weights are not: "
            f"{', '.join(map(_described, _largest(others)))}"
        )
    if promise.precision == "int8" and not nodes.integer:
        kinds = ", ".join(f"{count} {kind}" for kind, count in nodes.floating.items())
        yield f"int8, but no node computes in integers ({kinds or 'no products'} in float)"


def _largest(weights: list[StoredWeight]) -> list[StoredWeight]:
    return sorted(weights, key=lambda w: -w.array.size)[:_NAMED]


def _described(weight: StoredWeight) -> str:
    return f"{weight.name} ({weight.dtype} {weight.array.shape})"


def _gzip_bytes(path: Path) -> int:
    packer = zlib.compressobj(6, wbits=31)
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())

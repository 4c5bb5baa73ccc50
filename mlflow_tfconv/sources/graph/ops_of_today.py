"""Operations of old TensorFlows, and what does the same today."""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework import op_def_registry  # no public door to a single definition

#: The same inputs, outputs and attributes under another name.
RENAMED = {
    "BatchCholesky": "Cholesky",
    "BatchFFT": "FFT",
    "BatchFFT2D": "FFT2D",
    "BatchFFT3D": "FFT3D",
    "BatchIFFT": "IFFT",
    "BatchIFFT2D": "IFFT2D",
    "BatchIFFT3D": "IFFT3D",
    "BatchMatrixBandPart": "MatrixBandPart",
    "BatchMatrixDeterminant": "MatrixDeterminant",
    "BatchMatrixDiag": "MatrixDiag",
    "BatchMatrixDiagPart": "MatrixDiagPart",
    "BatchMatrixInverse": "MatrixInverse",
    "BatchMatrixSetDiag": "MatrixSetDiag",
    "BatchMatrixSolve": "MatrixSolve",
    "BatchMatrixSolveLs": "MatrixSolveLs",
    "BatchMatrixTriangularSolve": "MatrixTriangularSolve",
    "BatchSelfAdjointEigV2": "SelfAdjointEigV2",
    "BatchSvd": "Svd",
    "Inv": "Reciprocal",
    "PlaceholderV2": "Placeholder",
}

#: The same, but for the handle: once a reference or a string, now a resource.
RENAMED_WITH_HANDLE = {
    **{
        f"TensorArray{what}{version}": f"TensorArray{what}V3"
        for what in ("", "Write", "Read", "Gather", "Scatter", "Concat", "Split", "Size", "Close")
        for version in ("", "V2")
    },
    **{
        name: f"{name}V2"
        for name in (
            "HashTable",
            "MutableHashTable",
            "MutableHashTableOfTensors",
            "LookupTableFind",
            "LookupTableInsert",
            "LookupTableSize",
            "LookupTableExport",
            "LookupTableImport",
            "InitializeTable",
            "InitializeTableFromTextFile",
        )
    },
}

#: Among them, what makes a handle.
HANDLES = frozenset(
    {
        "TensorArrayV3",
        "HashTableV2",
        "MutableHashTableV2",
        "MutableHashTableOfTensorsV2",
    }
)


def definition(op: str) -> Any:
    """Today's `OpDef` of an operation, None when there is none."""
    return op_def_registry.get(op)

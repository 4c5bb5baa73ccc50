"""Tells an error that means too little memory from others."""

from __future__ import annotations

import re

#: What ONNX Runtime's arenas, CUDA, TensorRT and TensorFlow say.
_WORDS = re.compile(
    r"out of memory|bad[_ ]alloc|failed to allocate memory|available memory of [\d.]+ is smaller|"
    r"\bOOM\b|ALLOC_FAILED|OutOfMemory",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a runtime has raised this because it could not get memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return _WORDS.search(str(error)) is not None

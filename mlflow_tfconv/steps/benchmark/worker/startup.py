"""How long ONNX Runtime optimizes while it opens a model.

A session that is opened with its profiler on writes two events: `model_loading_...` (the file is
read and its graph resolved) and `session_initialization` (the graph is optimized and given to the
providers, kernels are made and weights packed; TensorRT builds its engines). The profiler is ended
before the first run, so that no run is slower for it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow_tfconv.runtimes.runtime import Runtime

_EVENT = "session_initialization"


def recorded_options(format: str, folder: Path) -> dict[str, Any]:  # noqa: A002 (the word everywhere)
    """Session options under which ONNX Runtime records how it opens a model."""
    if format != "onnx":
        return {}
    return {"enable_profiling": True, "profile_file_prefix": str(folder / "startup")}


def optimization_ns(runtime: Runtime) -> int | None:
    """Nanoseconds of the initialization; None for other runtimes, and where none was recorded."""
    session = getattr(runtime, "session", None)
    if session is None:
        return None
    file = Path(session.end_profiling())
    try:
        events = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    finally:
        with suppress(OSError):
            file.unlink()
    found = [int(event["dur"]) for event in events if event.get("name") == _EVENT]
    return found[0] * 1000 if found else None  # it counts in microseconds

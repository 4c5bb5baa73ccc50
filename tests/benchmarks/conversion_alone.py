"""One conversion: python conversion_alone.py ours|ours_alone|cli_alone SAVED_MODEL OUTPUT.

`ours` is the public function as a user calls it; it tells when which part began. The other two are
the way from the SavedModel to the ONNX file alone, timed after everything has been imported. The
last line that is printed is JSON: seconds by part, and what came of parity.
"""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any


def ours(source: Path, output: Path) -> dict[str, Any]:
    """SavedModel, ONNX and parity."""
    import mlflow_tfconv

    began = [("start", time.perf_counter())]
    converted = mlflow_tfconv.convert(
        source, output, emit=lambda event: began.append((event.detail, time.perf_counter()))
    )
    began.append(("end", time.perf_counter()))
    parts: dict[str, float] = {}
    for (name, start), (_, end) in itertools.pairwise(began):
        parts[name] = parts.get(name, 0.0) + end - start
    errors = {name: report.max_abs_error for name, report in converted.parity.items()}
    return {"parts_s": parts, "max_abs_error": errors, "warnings": converted.warnings}


def ours_alone(source: Path, output: Path) -> dict[str, Any]:
    """From the SavedModel to the ONNX file, without imports."""
    from mlflow_tfconv.device import Device
    from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
    from mlflow_tfconv.exporters.traced_from_source import READERS, traced_from_source

    importlib.import_module(f"mlflow_tfconv.exporters.{READERS['saved_model']}")
    started = time.perf_counter()
    traced = traced_from_source(source, device=Device())
    warnings = onnx_from_traced(traced, output, opset=17)
    return {"alone_s": time.perf_counter() - started, "warnings": warnings}


def cli_alone(source: Path, output: Path) -> dict[str, Any]:
    """The same by tf2onnx's command, without imports."""
    from tf2onnx import convert

    arguments = ["--saved-model", str(source), "--output", str(output), "--opset", "17"]
    sys.argv = ["tf2onnx.convert", *arguments]
    started = time.perf_counter()
    convert.main()
    return {"alone_s": time.perf_counter() - started}


if __name__ == "__main__":
    way = {"ours": ours, "ours_alone": ours_alone, "cli_alone": cli_alone}[sys.argv[1]]
    print("\n" + json.dumps(way(Path(sys.argv[2]), Path(sys.argv[3]))))

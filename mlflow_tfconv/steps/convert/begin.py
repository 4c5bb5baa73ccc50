"""Where the process that converts begins: with a look that needs no TensorFlow."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.engine.guarded_child import Voice, imported
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.archive_models import split_archive_path
from mlflow_tfconv.steps.convert.phases import READING, Phases
from mlflow_tfconv.steps.convert.request import Request


def write_exports(request: Request, voice: Voice) -> dict[str, Any]:
    """As `worker.write_exports`; what is no model at all is told seconds earlier."""
    Phases(voice, request.config).begin(READING)
    recognised(split_archive_path(request.source)[0])
    for path in (request.config.weights, request.config.architecture_file):
        if path is not None:
            recognised(request.root / path if request.root else path)
    work = imported("mlflow_tfconv.steps.convert.worker:write_exports")
    written: dict[str, Any] = work(request, voice)
    return written

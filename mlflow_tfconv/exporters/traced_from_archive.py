"""Reads the model in an archive, from a folder that lives as long as what was read."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.sources.archive_models import model_in, split_archive_path
from mlflow_tfconv.sources.archives import unpack
from mlflow_tfconv.sources.options import SourceOptions


class _Folder:
    """A temporary folder that goes when nothing refers to it any more, or the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tfconv-archive-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def traced_from_archive(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device
) -> Traced:
    """Unpacks an archive and reads the model in it.

    Args:
        path: The archive; `archive.zip!folder/model.h5` names one of several models.
        options: What the user says about the model.
        device: Where to compute.

    Raises:
        ConversionError: The archive is refused or damaged, holds no model or several, or its model
            can't be read.
    """
    from mlflow_tfconv.exporters.traced_from_source import traced_from_source

    folder = _Folder()
    archive, inside = split_archive_path(path)
    unpack(archive, folder.path)
    model = model_in(folder.path, archive, inside)
    traced = traced_from_source(model, options=options, device=device)

    def open_reference() -> Runtime:
        runtime = traced.open_reference()
        runtime.path = path
        runtime.unpacked = folder  # type: ignore[attr-defined]  # its files may be read until then
        return runtime

    return replace(traced, open_reference=open_reference)

"""Whether a Keras file names classes that neither Keras nor this package brings."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Layers of this package are registered by its own loader.
_KNOWN = ("keras", "builtins", "mlflow_tfconv", "tensorflow")


def has_own_classes(model: Path) -> bool:
    """Whether code of the recipe's own has to be imported before a `.keras` file is loaded."""
    if not zipfile.is_zipfile(model):
        return False
    with zipfile.ZipFile(model) as archive:
        if "config.json" not in archive.namelist():
            return False
        config = json.loads(archive.read("config.json"))
    return any(module.partition(".")[0] not in _KNOWN for module in _modules(config))


def _modules(config: Any) -> Iterator[str]:
    """The modules of all classes that a config names."""
    if isinstance(config, list):
        for item in config:
            yield from _modules(item)
    elif isinstance(config, dict):
        if "class_name" in config and isinstance(config.get("module"), str):
            yield config["module"]
        for item in config.values():
            yield from _modules(item)

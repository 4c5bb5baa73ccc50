"""Keras models with classes of the recipe's own take the code of these along.

Keras finds such a class only once the file that registers it has been imported. The logged model
has a copy of `steps/train.py`, with all it imports from the recipe, and a loader that imports it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mlflow_tfconv.engine.user_files import code_files
from mlflow_tfconv.formats.own_classes import has_own_classes

#: The folder in a logged model, as MLflow itself calls it, and the module in it that loads.
FOLDER, LOADER = "code", "load_with_own_classes"
_ENTRY = Path("steps", "train.py")
_LOADER_CODE = '''\
"""Imports the model's own classes, then loads it as MLflow does."""

import importlib
import sys
from pathlib import Path


class OneInput:
    """MLflow names inputs; a class of one's own with a single input takes it without its name."""

    def __init__(self, loaded):
        self._loaded = loaded

    def __getattr__(self, name):
        return getattr(self._loaded, name)

    def predict(self, data, params=None):
        single = isinstance(data, dict) and len(data) == 1
        return self._loaded.predict(next(iter(data.values())) if single else data, params)


def _load_pyfunc(path, **options):
    import mlflow.tensorflow

    here = Path(__file__).parent
    for folder in (here / "steps", here):
        sys.path.insert(0, str(folder))
    importlib.import_module("steps.train")
    return OneInput(mlflow.tensorflow._load_pyfunc(path, **options))
'''


def copy_own_classes(model: Path, root: Path | None, target: Path) -> bool:
    """Copies the code that a `.keras` file needs into `target / FOLDER`.

    Args:
        model: The file.
        root: The recipe's folder, or None.
        target: The folder of the logged model.

    Returns:
        Whether there is such code.
    """
    if root is None or not (root / _ENTRY).is_file() or not has_own_classes(model):
        return False
    root = root.resolve()
    code = target / FOLDER
    for file in code_files(root / _ENTRY, (root, root / "steps")):
        if file.is_relative_to(root):
            place = code / file.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    (code / f"{LOADER}.py").write_text(_LOADER_CODE, encoding="utf-8")
    return True

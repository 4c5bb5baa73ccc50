"""The folder of one conversion: nothing reaches the output before all of it is good."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mlflow_tfconv.arguments import made_folder
from mlflow_tfconv.engine.atomic import replace_folder
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.formats.model_files import own_data, place_onnx

#: Format to the name of its file or folder in the output folder.
FILES = {"saved_model": "saved_model", "onnx": "model.onnx"}
#: A source of an older Keras, as today's writes it.
KERAS_FILE = "model.keras"
#: Where a live model is saved.
LIVE_MODEL = "source.keras"
EXAMPLES_FILE = "examples.npz"
_PREFIX = ".convert-"
_LOCK = "lock"
_YOUNG_S = 60.0


class Workplace:
    """A folder inside the output folder, from which finished exports are moved into place.

    Whoever holds its lock is at work in it; the folder of a conversion that was killed goes with
    the next one.

    Attributes:
        output: The output folder.
        root: The folder of this conversion.
    """

    def __init__(self, output: Path) -> None:
        """Makes the folder.

        Raises:
            ConfigError: Something else is where an export has to go.
        """
        self._new = not output.exists()
        self.output = made_folder(output)
        _require_places(output)
        _sweep(output)
        self.root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=output))
        self._lock = (self.root / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        exports_in(self.root).mkdir()

    def put_in_place(self) -> None:
        """Moves the exports into the output; what is there of the same name is replaced."""
        exports = exports_in(self.root)
        onnx = exports / FILES["onnx"]
        if onnx.is_file():
            place_onnx(onnx, self.output / onnx.name)
        for item in list(exports.iterdir()):
            if item.is_dir():
                replace_folder(item, self.output / item.name)
            else:
                item.replace(self.output / item.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves nothing behind but what was put in place."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._lock.close()
        if self._new and kind is not None:
            with suppress(OSError):  # somebody has put something into it meanwhile
                self.output.rmdir()


def exports_in(work: Path) -> Path:
    """Where exports are written, in the folder of a conversion."""
    return work / "exports"


def answers_in(work: Path) -> Path:
    """Where the source's answers are kept."""
    return work / "answers"


def part_answers_in(work: Path) -> Path:
    """Where those of the ONNX file are kept when it is a part of the model only."""
    return work / "part_answers"


def _require_places(output: Path) -> None:
    data = own_data(output / FILES["onnx"]).name
    for name in (FILES["onnx"], data, FILES["saved_model"]):
        place, folder = output / name, name == FILES["saved_model"]
        if place.exists() and place.is_dir() != folder:
            raise ConfigError(
                "Something else is where an export has to go.",
                received=f"{place} is a {'file' if folder else 'folder'}",
                fix="Name another folder for the output, or move it away.",
            )


def _sweep(output: Path) -> None:
    """Removes what conversions have left that were killed."""
    for folder in output.glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # killed, or just about to lock it
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _YOUNG_S:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another conversion is at work in it
            continue

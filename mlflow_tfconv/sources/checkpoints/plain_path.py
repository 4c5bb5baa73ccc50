"""A checkpoint under a path that TensorFlow does not take for a pattern.

TensorFlow looks for files by pattern, in such a way that it finds no V2 checkpoint in a folder
called `run[1]`, however it is escaped.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from pathlib import Path

from mlflow_tfconv.sources.checkpoints.checkpoint_files import CheckpointFiles

_WILD = re.compile(r"[\[\]*?\\]")


def plain_path(files: CheckpointFiles, owner: object) -> str:
    """What to call the checkpoint before TensorFlow; a path with brackets gets links elsewhere.

    Args:
        files: The checkpoint.
        owner: The links live as long as it.
    """
    if not _WILD.search(str(files.prefix)):
        return files.called(files.prefix)
    folder = Path(tempfile.mkdtemp(prefix="checkpoint-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    prefix = folder / "model.ckpt"
    for file in files.every_file():
        ending = file.name.removeprefix(files.prefix.name)
        prefix.with_name(prefix.name + ending).symlink_to(file.resolve())
    return files.called(prefix)

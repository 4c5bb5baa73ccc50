"""The file `checkpoint` that a Saver keeps in its folder: which checkpoint is the newest.

What it says is a hint of a foreign file: often paths of a machine that is gone, perhaps paths that
are meant to lead elsewhere. Only names of files in its own folder are taken from it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from google.protobuf import text_format
from tensorflow.python.training import checkpoint_state_pb2

STATE_FILE = "checkpoint"

#: A state file lists some paths; more is something else.
_LARGEST_BYTES = 10_000_000


def named_in_state(folder: Path) -> tuple[str, Path | None] | None:
    """What the state file says is the newest checkpoint, and where in this folder that would be.

    None without a readable state file; the second is None when the path can't be in this folder.
    An absolute path stands for the file of its name: folders are copied from other machines.
    """
    file = folder / STATE_FILE
    if not file.is_file() or file.stat().st_size > _LARGEST_BYTES:
        return None
    state = checkpoint_state_pb2.CheckpointState()
    try:
        text_format.Parse(file.read_text("utf-8"), state, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError, RecursionError):
        return None
    said = state.model_checkpoint_path
    return (said, _inside(folder, said)) if said else None


def _inside(folder: Path, said: str) -> Path | None:
    """The path within the folder, whose links may not lead out of it either."""
    windows = "\\" in said or PureWindowsPath(said).drive
    pure = PureWindowsPath(said) if windows else PurePosixPath(said)
    if ".." in pure.parts:
        return None
    absolute = pure.is_absolute() or bool(pure.drive)
    path = folder / pure.name if absolute else folder.joinpath(*pure.parts)
    if not pure.name or not path.parent.resolve().is_relative_to(folder.resolve()):
        return None
    return path

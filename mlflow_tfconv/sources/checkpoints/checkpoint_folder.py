"""Which checkpoint of a folder is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_files import checkpoint_files, checkpoint_prefix
from mlflow_tfconv.sources.checkpoints.checkpoint_state import STATE_FILE, named_in_state
from mlflow_tfconv.sources.checkpoints.sorted_table import is_table

_STEP = re.compile(r"-(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCheckpoint:
    """The checkpoint that was taken.

    Attributes:
        prefix: It.
        choices: That there were others.
        warnings: What is wrong with the folder's state file.
    """

    prefix: Path
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()


def checkpoint_of_folder(folder: Path) -> FolderCheckpoint:
    """The checkpoint that the folder's state file names, else the newest of its only model.

    Raises:
        ConversionError: There is no checkpoint, or there are several models and nothing tells
            which one is meant.
    """
    present = checkpoints_in(folder)
    if not present:
        raise _nothing(folder)
    said = named_in_state(folder)
    if said is not None and said[1] is not None:
        named = checkpoint_prefix(said[1])
        if named in present or checkpoint_files(named) is not None:
            return _taken(named, present, f"the file `{STATE_FILE}` says so", ())
    warnings = () if said is None else (_not_there(folder, *said),)
    whole = [prefix for prefix in present if _is_whole(prefix)] or present
    if len({_STEP.sub("", prefix.name) for prefix in whole}) > 1:
        raise _ask(folder, whole, warnings)
    newest = max(whole, key=step_of)
    cut = [prefix.name for prefix in present if prefix not in whole]
    if cut:
        warnings = (*warnings, f"Files of these checkpoints are missing: {', '.join(cut)}.")
    return _taken(newest, whole, "it has the highest step", warnings)


def checkpoints_in(folder: Path) -> list[Path]:
    """Prefixes of the checkpoints in a folder, V2 and V1, sorted; complete or not."""
    found = {checkpoint_prefix(path) for path in folder.glob("*.index")}
    found |= {checkpoint_prefix(path) for path in folder.glob("*.data-?????-of-?????")}
    found |= {checkpoint_prefix(path) for path in folder.iterdir() if is_table(path)}
    return sorted(found)


def step_of(prefix: Path) -> int:
    """The number of training steps in a checkpoint's name, -1 without one."""
    match = _STEP.search(prefix.name)
    return int(match.group(1)) if match else -1


def _is_whole(prefix: Path) -> bool:
    """Whether all its files are there, as they are not when training was killed while it saved."""
    try:
        return checkpoint_files(prefix) is not None
    except ConversionError:
        return False


def _taken(
    prefix: Path, present: list[Path], reason: str, warnings: tuple[str, ...]
) -> FolderCheckpoint:
    others = tuple(other.name for other in present if other != prefix)
    choice = Choice(
        what="checkpoint",
        chosen=prefix.name,
        alternatives=others,
        argument="source",
        reason=reason,
    )
    return FolderCheckpoint(prefix=prefix, choices=(choice,) if others else (), warnings=warnings)


def _not_there(folder: Path, said: str, inside: Path | None) -> str:
    where = (
        "points outside the folder" if inside is None else "names a checkpoint that is not there"
    )
    return (
        f"The file `{STATE_FILE}` in {folder.name or folder} {where}: {said}; it was not followed."
    )


def _ask(folder: Path, present: list[Path], warnings: tuple[str, ...]) -> ConversionError:
    names = ", ".join(prefix.name for prefix in present)
    return ConversionError(
        f"{len(present)} checkpoints of different models lie in this folder: {names}. Which one?"
        + "".join(f" {warning}" for warning in warnings),
        received=str(folder),
        expected="the checkpoints of one model, or a file `checkpoint` that names one",
        fix=f"Name the one that is meant as the source, such as {folder / present[0].name}.",
    )


def _nothing(folder: Path) -> ConversionError:
    metas = sorted(path.name for path in folder.glob("*.meta"))
    graphs = f"; there are graphs without weights: {', '.join(metas)}" if metas else ""
    names = sorted(path.name for path in folder.iterdir())
    return ConversionError(
        f"This folder holds no checkpoint{graphs}.",
        received=f"{folder} with {', '.join(names[:12]) or 'nothing in it'}",
        expected="files of a checkpoint: prefix.index and prefix.data-00000-of-00001",
        fix="Name the folder that holds them, and copy all files of the checkpoint there.",
    )

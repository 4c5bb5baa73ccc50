"""Which model an archive holds; `archive.zip!folder/model.h5` names one of several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.recognition import Recognised, recognised

SEPARATOR = "!"
_DEEPEST = 4
_MOST_FILES = 500
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")

#: Formats that are only half a model.
_ARCHITECTURES = frozenset({"keras_json", "keras_yaml", "darknet_cfg"})
_WEIGHTS = frozenset({"weights_h5", "darknet_weights", "object_checkpoint", "tf_checkpoint"})


def split_archive_path(path: Path) -> tuple[Path, str | None]:
    """The archive and the name of a model in it, of `archive.zip!folder/model.h5`.

    A path that exists as it is, or has no such file before a "!", is given back with None.
    """
    text = str(path)
    if path.exists() or SEPARATOR not in text:
        return path, None
    for index, letter in enumerate(text):
        if letter == SEPARATOR and Path(text[:index]).is_file():
            return Path(text[:index]), text[index + 1 :].strip("/")
    return path, None


def model_in(folder: Path, archive: Path, inside: str | None = None) -> Path:
    """The path of the model in an unpacked archive.

    Args:
        folder: Where it was unpacked.
        archive: The archive, for errors.
        inside: The name of the model in it; None finds the only one.

    Raises:
        ConversionError: There is none, or there are several to choose from.
    """
    if inside is not None:
        return _named(folder, archive, inside)
    root = _descended(folder)
    found = _recognised(root)
    if found is not None and root.is_dir():
        return found.path
    models = _models(root)
    if len(models) > 1 and {m.format for m in models} & _ARCHITECTURES:
        models = _joined(models)
    if len(models) == 1:
        return models[0].path
    names = [f"{_name(model.path, folder)} ({model})" for model in models]
    raise ConversionError(
        f"The archive {archive.name} holds "
        + (f"{len(models)} models: which?" if models else "no model that is known."),
        received=", ".join(names) or ", ".join(_names(folder)) or "nothing",
        expected="one model",
        fix=f"Name it behind a {SEPARATOR}: {archive}{SEPARATOR}"
        + (_name(models[0].path, folder) if models else "folder/model.h5"),
    )


def _named(folder: Path, archive: Path, inside: str) -> Path:
    pure = PurePosixPath(inside)
    place = folder / pure
    beside = list(place.parent.glob(f"{place.name}.*")) if place.parent.is_dir() else []
    if ".." not in pure.parts and not pure.is_absolute() and (place.exists() or beside):
        return place
    raise ConversionError(
        f"The archive {archive.name} has no {inside!r}.",
        received=f"{archive}{SEPARATOR}{inside}",
        expected=", ".join(_names(folder)),
    )


def _descended(folder: Path) -> Path:
    """The folder below folders that hold nothing but one folder, or the only file."""
    while folder.is_dir():
        entries = [entry for entry in folder.iterdir() if not _is_junk(entry)]
        if len(entries) != 1:
            return folder
        if entries[0].is_dir() and folder != entries[0] and _recognised(folder) is not None:
            return folder
        folder = entries[0]
    return folder


def _is_junk(path: Path) -> bool:
    return path.name in _JUNK or path.name.startswith("._")


def _recognised(path: Path) -> Recognised | None:
    try:
        return recognised(path)
    except ConversionError:
        return None


def _models(root: Path) -> list[Recognised]:
    """All models in a folder; a checkpoint of several files is one."""
    found: dict[Path, Recognised] = {}
    for path in _candidates(root, _DEEPEST):
        model = _recognised(path)
        if model is not None and not any(model.path.is_relative_to(known) for known in found):
            found[model.path] = model
    return list(found.values())


def _candidates(path: Path, depth: int) -> Iterator[Path]:
    """Files and folders, a folder before what is in it."""
    yield path
    if path.is_dir() and depth:
        for entry in sorted(path.iterdir())[:_MOST_FILES]:
            if not _is_junk(entry):
                yield from _candidates(entry, depth - 1)


def _joined(models: list[Recognised]) -> list[Recognised]:
    """An architecture and the weights beside it are one model, which the weights stand for."""
    architectures = [model for model in models if model.format in _ARCHITECTURES]
    others = [model for model in models if model.format not in _ARCHITECTURES]
    if len(architectures) == 1 and len(others) == 1 and others[0].format in _WEIGHTS:
        return others
    return models


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def _names(folder: Path) -> list[str]:
    paths = [path for path in _candidates(folder, _DEEPEST) if path.is_file()]
    return [_name(path, folder) for path in paths[:20]]

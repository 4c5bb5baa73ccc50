"""SavedModels that an Estimator exported: folders named by the time, in `export/`."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import Choice

#: `export/<time>`, or `export/<exporter>/<time>`.
_PLACES = ("export/*", "export/*/*")


def is_saved_model(folder: Path) -> bool:
    """Whether the folder is a SavedModel."""
    return any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def exports_in(folder: Path, *, of_any_name: bool = True) -> list[Path]:
    """SavedModels directly in a folder or in its `export/`, the newest last.

    Args:
        folder: The folder.
        of_any_name: Whether those directly in the folder may have another name than a time.
    """
    places = ("*" if of_any_name else "[0-9]*", *_PLACES)
    found = {path for place in places for path in folder.glob(place) if is_saved_model(path)}
    return sorted(found, key=_age)


def chosen_export(
    folder: Path, *, of_any_name: bool = True
) -> tuple[Path, tuple[Choice, ...]] | None:
    """The newest export of a folder, and that there were others; None when there is none."""
    exports = exports_in(folder, of_any_name=of_any_name)
    if not exports:
        return None
    newest = exports[-1]
    others = tuple(str(path.relative_to(folder)) for path in exports[:-1])
    choice = Choice(
        what="export",
        chosen=str(newest.relative_to(folder)),
        alternatives=others,
        argument="source",
        reason="it is the newest",
    )
    return newest, (choice,) if others else ()


def _age(export: Path) -> tuple[int, str]:
    name = export.name
    return (int(name) if name.isdigit() and len(name) < 20 else -1, str(export))

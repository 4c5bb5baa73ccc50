"""What the folders of files say: their class, their split, or nothing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow_tfconv.data.splits import SPLITS
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.local_locations import is_url
from mlflow_tfconv.steps.ingest.locations import SourceFile, source_files
from mlflow_tfconv.steps.ingest.split_names import split_of_folder
from mlflow_tfconv.steps.ingest.which_files import is_marker

_MOST_KINDS_TOLD = 5


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file, and what its folders say.

    Attributes:
        file: The file.
        class_name: The folder that names its class; None when the files lie in no such folders.
        split: "train", "validation" or "test", where folders of these names lie above the classes.
    """

    file: SourceFile
    class_name: str | None
    split: str | None


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """The files that are data, and what was left out.

    Attributes:
        placed: The files in the order of their names.
        classes: The names of their classes, sorted; empty without classes.
        left_out: Why to number of files.
    """

    placed: tuple[PlacedFile, ...]
    classes: tuple[str, ...]
    left_out: Mapping[str, int]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that folders name."""
        named = {placed.split for placed in self.placed}
        return tuple(split for split in SPLITS if split in named)

    def told(self, kind: str) -> str:
        """A sentence for the user, such as "120 images in 3 classes; left out: ..."."""
        count = len(self.classes)
        classes = f" in {_counted(count, 'classes', 'class')}" if count else ", without classes"
        splits = f", split by folders into {', '.join(self.splits)}" if self.splits else ""
        left = "; ".join(f"{count:,} {why}" for why, count in self.left_out.items() if count)
        return (
            f"{_counted(len(self.placed), kind)}{classes}{splits}"
            f"{f'. Left out: {left}' if left else ''}."
        )


def _counted(count: int, things: str, thing: str | None = None) -> str:
    return f"{count:,} {things if count != 1 else thing or things.removesuffix('s')}"


def folder_layout(
    locations: Sequence[str],
    root: Path,
    suffixes: tuple[str, ...],
    storage_options: Mapping[str, Any],
) -> FolderLayout:
    """Lists the files of the locations and reads their folders.

    The class is the first folder below the location, whatever lies between it and the file. Where
    all the first folders are named train, val, test or the like, these say the split (if there are
    two at least) and the class is the folder below. Several locations of such names count as such
    folders.

    Raises:
        DataError: There are no files with one of the suffixes.
    """
    files = all_files(locations, root, storage_options)
    layout = layout_of(files, suffixes, ", ".join(locations))
    empty = _empty_folders(locations, root, layout)
    shown = ", ".join(empty[:_MOST_KINDS_TOLD]) + ", ..." * (len(empty) > _MOST_KINDS_TOLD)
    left_out = {**layout.left_out, f"empty folder{'s' * (len(empty) > 1)} ({shown})": len(empty)}
    return dataclasses.replace(layout, left_out=left_out)


def _empty_folders(locations: Sequence[str], root: Path, layout: FolderLayout) -> list[str]:
    """Folders of this machine that would be classes, if there were files in them."""
    if not layout.classes:
        return []
    pattern = "*/*" if layout.splits else "*"
    places = [root / Path(one).expanduser() for one in locations if not is_url(one)]
    used = {parent for one in layout.placed for parent in Path(one.file.url_or_path).parents}
    return [
        folder.relative_to(place).as_posix()
        for place in places
        if place.is_dir()
        for folder in sorted(place.glob(pattern))
        if folder.is_dir() and folder not in used and not is_marker(folder.name)
    ]


def layout_of(
    listed: Sequence[SourceFile], suffixes: tuple[str, ...], location: str
) -> FolderLayout:
    """What the folders of some files say, see `folder_layout`; no suffixes take all files."""
    files = [file for file in listed if not suffixes or file.suffix in suffixes]
    others = Counter(
        file.suffix or "no suffix" for file in listed if suffixes and file.suffix not in suffixes
    )
    kinds = ", ".join(f"{suffix} {n:,}" for suffix, n in others.most_common(_MOST_KINDS_TOLD))
    if not files:
        raise DataError(
            "There are no files of the kind asked for at ingest.location.",
            received=f"{location}: files of other kinds ({kinds})",
            expected=f"files with {', '.join(suffixes)}",
            fix="Correct ingest.location or ingest.using, or convert the files.",
        )
    placed, loose = _placed(files)
    classes = tuple(sorted({one.class_name for one in placed if one.class_name is not None}))
    left_out = {f"of other kinds ({kinds})": others.total(), "beside the folders": loose}
    return FolderLayout(tuple(placed), classes, left_out)


def all_files(
    locations: Sequence[str], root: Path, storage_options: Mapping[str, Any]
) -> list[SourceFile]:
    """All files of the locations, each once; names begin with a location that says a split."""
    names = [PurePosixPath(location).name for location in locations]
    said = {split_of_folder(name) for name in names}
    by_location = None not in said and len(said) > 1
    found: dict[str, SourceFile] = {}
    for location, name in zip(locations, names, strict=True):
        for file in source_files(location, root, storage_options=storage_options):
            named = dataclasses.replace(file, name=f"{name}/{file.name}") if by_location else file
            found.setdefault(file.url_or_path, named)
    return list(found.values())


def _placed(files: Sequence[SourceFile]) -> tuple[list[PlacedFile], int]:
    """The files with their places, and how many lie loose beside the folders of classes."""
    paths = [(file, PurePosixPath(file.name).parts) for file in files]
    heads = {parts[0] for _, parts in paths if len(parts) > 1}
    splits = {head: split_of_folder(head) for head in heads}
    above = bool(heads) and all(splits.values())
    loose = 0
    if above:
        loose = sum(len(parts) == 1 for _, parts in paths)
        paths = [(file, parts) for file, parts in paths if len(parts) > 1]
    decided = above and len(set(splits.values())) > 1
    skip = 1 if above else 0
    with_classes = any(len(parts) > skip + 1 for _, parts in paths)
    placed = []
    for file, parts in paths:
        if with_classes and len(parts) == skip + 1:
            loose += 1
            continue
        class_name = parts[skip] if with_classes else None
        placed.append(PlacedFile(file, class_name, splits[parts[0]] if decided else None))
    return placed, loose

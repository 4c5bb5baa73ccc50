"""What is said about a file that is missing, empty, cut off or altered."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.errors import ConversionError

_LFS = b"version https://git-lfs"


def damaged_file(path: Path, problem: str) -> ConversionError:
    """The error for a file whose content can't be what was once written."""
    size = f" ({path.stat().st_size:,} bytes)" if path.is_file() else ""
    return ConversionError(
        f"The {_kind(path)} is damaged or cut off: {path.name}: {problem}.",
        received=f"{path}{size}",
        expected="the file as TensorFlow wrote it",
        fix="Copy or download the file again and compare its size.",
    )


def missing_file(path: Path, needed_for: str) -> ConversionError:
    """The error for a file that should lie beside others."""
    return ConversionError(
        f"The {_kind(path)} is missing: {path.name} {needed_for}.",
        received=f"{path.parent} without {path.name}",
        expected="all files of the model in one folder",
        fix="Copy the missing file from where the model was saved.",
    )


def require_content(path: Path) -> Path:
    """Raises when a file is empty or stands for another file; gives it back otherwise.

    Raises:
        ConversionError: The file has no bytes, or it is a pointer of Git LFS.
    """
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if head == _LFS:
        raise ConversionError(
            f"{path.name} is a Git LFS pointer, not the data itself.",
            received=f"{path} ({path.stat().st_size:,} bytes)",
            expected="the file that the pointer stands for",
            fix="Run `git lfs pull` where the file comes from.",
        )
    if not head:
        raise damaged_file(path, "it is empty")
    return path


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix.startswith(".data-"):
        return ".data file"
    return f"{suffix} file" if suffix in {".index", ".meta", ".pb", ".pbtxt"} else "file"

"""The errors for what is no model, or no whole one."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.errors import ConversionError


def unknown_file(path: Path, more: str = "", *, fix: str | None = None) -> ConversionError:
    """The error for a file of no format that is known.

    Args:
        path: The file.
        more: What else is known of it, such as "or it was cut off".
        fix: How to mend it, where that is known.
    """
    return ConversionError(
        f"This file is no model that we know{', ' + more if more else ''}.",
        received=f"{path} ({path.stat().st_size:,} bytes)",
        expected="a model of Keras, TensorFlow or darknet, or an ONNX model",
        fix=fix or "Check that the right file was named and that its copy is complete.",
    )


def damaged_file(path: Path, what: str) -> ConversionError:
    """The error for a file that is not whole: `what` says what it should be and why it is not."""
    return ConversionError(
        f"The model file {path.name} is damaged or cut off: {what}.",
        received=f"{path} ({path.stat().st_size:,} bytes)",
        fix="Copy or download the file again and compare its size.",
    )


def git_lfs_pointer(path: Path) -> ConversionError:
    """The error for a file that Git LFS has put in the place of the real one."""
    return ConversionError(
        f"{path.name} is a Git LFS pointer, not the data itself.",
        received=f"{path} ({path.stat().st_size:,} bytes)",
        expected="the file that the pointer stands for",
        fix="Run `git lfs pull` where the file comes from.",
    )

"""Writes a SavedModel."""

from __future__ import annotations

import contextlib
from pathlib import Path

import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.saved_model_runtime import DEFAULT_SIGNATURE


def saved_model_from_traced(traced: Traced, path: Path) -> None:
    """Writes the model with one signature, `serving_default`, under the source's own names.

    The same model gives the same bytes: TensorFlow's fingerprint.pb, which holds a random number
    and which nothing needs, is left out.

    Raises:
        ConversionError: TensorFlow refuses to write it.
    """
    options = tf.saved_model.SaveOptions(save_debug_info=False)
    signatures = {DEFAULT_SIGNATURE: traced.function}
    try:
        tf.saved_model.save(traced.module, str(path), signatures=signatures, options=options)
    except (ValueError, AssertionError, TypeError, KeyError) as error:
        raise ConversionError(
            "TensorFlow can't write this model as a SavedModel.",
            received=str(error).strip()[:1000],
            fix="If it speaks of an untracked resource: keep tables and variables as attributes of "
            "a layer, not in global variables.",
        ) from error
    (path / "fingerprint.pb").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: the model has assets
        (path / "assets").rmdir()

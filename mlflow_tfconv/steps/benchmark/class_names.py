"""What the class numbers of a dataset's labels mean."""

from __future__ import annotations

from mlflow_tfconv.artifacts import Dataset


def class_names_of(dataset: Dataset | None) -> tuple[str, ...] | None:
    """The names by number; None without a dataset, or when it has not exactly one named label.

    Raises:
        DataError: The manifest can't be read.
    """
    if dataset is None:
        return None
    from mlflow_tfconv.data.manifest import read_manifest

    labels = list(read_manifest(dataset.manifest).schema.labels.values())
    return labels[0].class_names if len(labels) == 1 else None

"""The schema that examples show: inferred from the first, enforced on all that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec, Schema
from mlflow_tfconv.data.values import array_of, dtype_name, is_text
from mlflow_tfconv.errors import DataError

Arrays = Mapping[str, np.ndarray[Any, Any]]


class SchemaInference:
    """Takes examples one at a time and knows the schema so far.

    Attributes:
        features: Feature name to what is known of it.
    """

    def __init__(self, label: tuple[str, ...] = (), key: str | None = None) -> None:
        self.features: dict[str, FeatureSpec] = {}
        self._label = label
        self._key = key

    def check(self, example: Any, where: str) -> Arrays:
        """The example as arrays, after it was found to agree with those before.

        Args:
            example: What the generator yielded.
            where: Which one it is, such as "Example 17", for the error.

        Raises:
            DataError: It is no dict; a feature is missing, new, of another type or rank than
                before, or can't be stored; a label is not finite.
        """
        if not isinstance(example, Mapping):
            raise DataError(
                f"{where} is no dict.",
                received=f"{example!r:.80} ({type(example).__name__})",
                expected="a dict {feature name: value}",
                fix="Let the generator `yield {...}`.",
            )
        arrays = {str(name): array_of(value, name, where) for name, value in example.items()}
        if self.features:
            self._compare(arrays, where)
        else:
            self._begin(arrays, where)
        self._check_labels(arrays, where)
        return arrays

    def schema(self, class_names: Mapping[str, tuple[str, ...]] | None = None) -> Schema:
        """The schema of all examples so far, with class names put to their labels."""
        features = {
            name: dataclasses.replace(spec, class_names=(class_names or {}).get(name))
            for name, spec in self.features.items()
        }
        return Schema(features=features, label=self._label, key=self._key)

    def _begin(self, arrays: Arrays, where: str) -> None:
        for role, names in (("label", self._label), ("key", (self._key,) if self._key else ())):
            for name in names:
                if name not in arrays:
                    raise DataError(
                        f"{where} lacks the {role} {name!r} that the recipe names.",
                        received=f"features: {', '.join(arrays) or 'none'}",
                        fix=f"Set `ingest.{role}` to one of the features, or yield {name!r}.",
                    )
        for name in arrays:
            if name.removesuffix(SHAPE_SUFFIX) in arrays and name.endswith(SHAPE_SUFFIX):
                raise DataError(
                    f"{where}: the feature name {name!r} is taken by the shape of another feature.",
                    fix=f"Call it otherwise, for example {name.replace('/', '_')!r}.",
                )
        self.features = {
            name: FeatureSpec(
                dtype_name(array), array.shape, encoding="raw" if is_packed(array) else "list"
            )
            for name, array in arrays.items()
        }

    def _compare(self, arrays: Arrays, where: str) -> None:
        if arrays.keys() != self.features.keys():
            missing, new = self.features.keys() - arrays.keys(), arrays.keys() - self.features
            says = [f"lacks {name!r}" for name in sorted(missing)]
            says += [f"has the new feature {name!r}" for name in sorted(new)]
            raise DataError(
                f"{where} {' and '.join(says)}.",
                received=f"features: {', '.join(arrays)}",
                expected=f"features of the first example: {', '.join(self.features)}",
                fix="Every example has the same features: leave it out or fill the gap.",
            )
        for name, array in arrays.items():
            self.features[name] = _merged(self.features[name], name, array, where)

    def _check_labels(self, arrays: Arrays, where: str) -> None:
        for name in self._label:
            array = arrays[name]
            if not is_text(array) and not np.isfinite(array).all():
                raise DataError(
                    f"{where}: the label {name!r} is not finite.",
                    received=f"{array!r:.80}",
                    expected="a number",
                    fix="Leave such examples out.",
                )


def is_packed(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array is stored as bytes: numbers of rank 1 and more."""
    return array.ndim > 0 and not is_text(array)


def merged_shape(
    known: tuple[int | None, ...], shape: tuple[int, ...]
) -> tuple[int | None, ...] | None:
    """The shape that fits both, None where they differ; None when their ranks differ."""
    if len(known) != len(shape):
        return None
    return tuple(a if a == b else None for a, b in zip(known, shape, strict=True))


def _merged(spec: FeatureSpec, name: str, array: np.ndarray[Any, Any], where: str) -> FeatureSpec:
    if spec.shape == array.shape and spec.dtype == dtype_name(array):
        return spec
    shape = merged_shape(spec.shape, array.shape)
    if shape is None or spec.dtype != dtype_name(array):
        raise DataError(
            f"{where}: the feature {name!r} differs from the examples before.",
            received=f"{dtype_name(array)} {array.shape}",
            expected=f"{spec.dtype} {spec.shape}".replace("None", "any"),
            fix="Give the same type and the same number of dimensions in every example.",
        )
    return dataclasses.replace(spec, shape=shape)

"""The schema that examples show: inferred from the first, or given; enforced on all that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec, Schema
from mlflow_tfconv.data.values import array_of, dtype_name, is_text, like_spec
from mlflow_tfconv.errors import DataError

Arrays = Mapping[str, np.ndarray[Any, Any]]

#: Encodings of features whose one bytes value is somebody else's: it is not looked into.
_OPAQUE = ("tensor", "image")


class SchemaInference:
    """Takes examples one at a time and knows the schema so far.

    Attributes:
        features: Feature name to what is known of it.
    """

    def __init__(
        self,
        label: tuple[str, ...] = (),
        key: str | None = None,
        *,
        given: Mapping[str, FeatureSpec] | None = None,
        like: Mapping[str, FeatureSpec] | None = None,
    ) -> None:
        """Of nothing yet.

        Args:
            label: The label features.
            key: The feature whose hash decides the split.
            given: Features that are known beforehand; their values are made of the given type where
                nothing is lost by it, and have the given shape.
            like: The features that an earlier example has shown; those to come agree with it.
        """
        self.features: dict[str, FeatureSpec] = dict(like or {})
        self._given = dict(given or {})
        self._precise = {name for name, spec in self._given.items() if spec.dtype == "float64"}
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
        arrays = {
            str(name): array_of(value, name, where, precise=name in self._precise)
            for name, value in example.items()
        }
        if len(arrays) != len(example):
            raise _twice(example, where)
        for name in self._given.keys() & arrays.keys():
            arrays[name] = like_spec(arrays[name], self._given[name], name, where)
        merged = self._compared(arrays, where) if self.features else self._first(arrays, where)
        self._check_labels(arrays, where)
        self.features = merged
        return arrays

    def schema(self, class_names: Mapping[str, tuple[str, ...]] | None = None) -> Schema:
        """The schema of all examples so far, with class names put to their labels."""
        return schema_of(self.features, self._label, self._key, class_names)

    def _first(self, arrays: Arrays, where: str) -> dict[str, FeatureSpec]:
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
        if self._given.keys() - arrays.keys():
            raise _other_features(arrays, self._given, where)
        return {name: self._given.get(name) or _spec_of(array) for name, array in arrays.items()}

    def _compared(self, arrays: Arrays, where: str) -> dict[str, FeatureSpec]:
        known = self.features
        if arrays.keys() != known.keys():
            raise _other_features(arrays, known, where)
        changed = {
            name: merged
            for name, array in arrays.items()
            if name not in self._given
            and (merged := _merged(known[name], name, array, where)) is not known[name]
        }
        return {**known, **changed} if changed else known

    def _check_labels(self, arrays: Arrays, where: str) -> None:
        for name in self._label:
            array = arrays[name]
            if not is_text(array) and not np.isfinite(array).all():
                raise DataError(
                    f"{where}: the label {name!r} is not finite.",
                    received=f"{array.tolist()!r:.80}",
                    expected="a number",
                    fix="Correct it, or leave such examples out: `on_error: skip`.",
                )


def schema_of(
    features: Mapping[str, FeatureSpec],
    label: tuple[str, ...],
    key: str | None,
    class_names: Mapping[str, tuple[str, ...]] | None = None,
) -> Schema:
    """A schema with class names put to their features."""
    named = {
        name: dataclasses.replace(spec, class_names=(class_names or {}).get(name, spec.class_names))
        for name, spec in features.items()
    }
    return Schema(features=named, label=label, key=key)


def is_packed(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array is stored as bytes: numbers of rank 1 and more, and complex ones."""
    return array.dtype.kind == "c" or (array.ndim > 0 and not is_text(array))


def merged_shape(
    known: tuple[int | None, ...], shape: tuple[int | None, ...]
) -> tuple[int | None, ...] | None:
    """The shape that fits both, None where they differ; None when their ranks differ."""
    if len(known) != len(shape):
        return None
    return tuple(a if a == b else None for a, b in zip(known, shape, strict=True))


def _spec_of(array: np.ndarray[Any, Any]) -> FeatureSpec:
    encoding = "raw" if is_packed(array) else "list"
    return FeatureSpec(dtype_name(array), array.shape, encoding=encoding)  # type: ignore[arg-type]


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
    return spec if shape == spec.shape else dataclasses.replace(spec, shape=shape)


def _other_features(arrays: Arrays, known: Mapping[str, FeatureSpec], where: str) -> DataError:
    missing, new = known.keys() - arrays.keys(), arrays.keys() - known.keys()
    says = [f"lacks {name!r}" for name in sorted(missing)]
    says += [f"has the new feature {name!r}" for name in sorted(new)]
    return DataError(
        f"{where} {' and '.join(says)}.",
        received=f"features: {', '.join(arrays) or 'none'}",
        expected=f"features of the first example: {', '.join(known)}",
        fix="Every example has the same features: leave it out or fill the gap.",
    )


def _twice(example: Mapping[Any, Any], where: str) -> DataError:
    return DataError(
        f"{where} has two features of the same name.",
        received=f"names: {', '.join(map(repr, example))}",
        expected="names that differ as text",
        fix="Rename one of them.",
    )

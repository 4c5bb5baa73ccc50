"""What an example consists of: the features with their types, the labels, the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

#: Suffix of the stored feature that holds the shape of an array of rank 2 and more.
SHAPE_SUFFIX = "/shape"

#: Types of arrays that TensorFlow's `decode_raw` reads back.
ARRAY_DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)

#: How the shards hold a feature, see `FeatureSpec.encoding`.
Encoding = Literal["list", "raw", "tensor", "image"]

#: What a record of a shard is, see `Schema.layout`.
Layout = Literal["example", "sequence_example", "block"]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature of an example.

    Attributes:
        dtype: A numpy dtype name such as "float32", or "string".
        shape: Of one example, without a batch; None for a dimension that varies; () for a scalar.
        class_names: What the values of a label mean. An integer label is an index into it; a string
            label is one of the names and is read as its index, int64.
        encoding: How the shards hold it. "list": a plain list of integers, floats or strings;
            "raw": one bytes value with the little-endian elements in C order; "tensor": one bytes
            value, a serialized TensorProto; "image": one bytes value, a JPEG, PNG, GIF or BMP file,
            decoded to (height, width, channels) uint8 when read.
        sequence: Whether it is a feature list of a tf.train.SequenceExample: the first dimension is
            the steps.
        default: What an example gets that lacks it (encoding "list"); None when none may.
        stored_dtype: Of serialized tensors whose type nothing else here takes (bfloat16, uint32,
            uint64): that type. `dtype` is one that holds the same values.
    """

    dtype: str
    shape: tuple[int | None, ...] = ()
    class_names: tuple[str, ...] | None = None
    encoding: Encoding = "list"
    sequence: bool = False
    default: int | float | str | None = None
    stored_dtype: str | None = None

    @property
    def varies(self) -> bool:
        """Whether a dimension differs between examples; batches are then padded with zeros."""
        return None in self.shape

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in manifest.json."""
        names = None if self.class_names is None else list(self.class_names)
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "class_names": names,
            "ragged": self.varies,
            "encoding": self.encoding,
            "sequence": self.sequence,
            **({} if self.default is None else {"default": self.default}),
            **({} if self.stored_dtype is None else {"stored_dtype": self.stored_dtype}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureSpec:
        """The inverse of `to_json`.

        Raises:
            ValueError: It says what no feature can be.
        """
        names, encoding = data.get("class_names"), data.get("encoding", "list")
        _check_known("dtype", data["dtype"], (*ARRAY_DTYPES, "string"))
        _check_known("encoding", encoding, get_args(Encoding))
        if any(size is not None and (type(size) is not int or size < 0) for size in data["shape"]):
            raise ValueError(f"the shape {data['shape']} of a feature")
        return cls(
            dtype=data["dtype"],
            shape=tuple(data["shape"]),
            class_names=None if names is None else tuple(names),
            encoding=encoding,
            sequence=data.get("sequence", False),
            default=data.get("default"),
            stored_dtype=data.get("stored_dtype"),
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """The features of a dataset; `spec` of the user's `model_fn` is this.

    Attributes:
        features: Feature name to what it is, labels and key included.
        label: Names of the label features; empty when there is none.
        key: The feature whose hash decides the split, or None.
        layout: What a record is. "example": a tf.train.Example; "sequence_example": a
            tf.train.SequenceExample; "block": the rows of many examples one after the other, see
            `rows.py`.
    """

    features: Mapping[str, FeatureSpec]
    label: tuple[str, ...] = ()
    key: str | None = None
    layout: Layout = "example"

    @property
    def labels(self) -> dict[str, FeatureSpec]:
        """The label features, in the order of `label`."""
        return {name: self.features[name] for name in self.label}

    @property
    def inputs(self) -> dict[str, FeatureSpec]:
        """What a model gets: all but the labels, and but the key unless nothing else is left."""
        rest = {name: spec for name, spec in self.features.items() if name not in self.label}
        without_key = {name: spec for name, spec in rest.items() if name != self.key}
        return without_key or rest

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in manifest.json."""
        features = {name: spec.to_json() for name, spec in self.features.items()}
        return {
            "layout": self.layout,
            "features": features,
            "label": list(self.label),
            "key": self.key,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """The inverse of `to_json`.

        Raises:
            ValueError: It says what no schema can be.
        """
        features = {name: FeatureSpec.from_json(item) for name, item in data["features"].items()}
        key, layout = data.get("key"), data.get("layout", "example")
        _check_known("layout", layout, get_args(Layout))
        for name in (*data["label"], *([] if key is None else [key])):
            _check_known("label or key", name, tuple(features))
        return cls(features=features, label=tuple(data["label"]), key=key, layout=layout)


def _check_known(what: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"the {what} {value!r}, which is none of {', '.join(known)}")

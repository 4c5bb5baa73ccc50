from __future__ import annotations

from mlflow_tfconv.data.schema import FeatureSpec, Schema

IMAGE = FeatureSpec("float32", (None, 8, 1), encoding="raw")
DIGIT = FeatureSpec("int64", (), class_names=("zero", "one"))


def test_a_schema_survives_json() -> None:
    schema = Schema({"image": IMAGE, "digit": DIGIT}, ("digit",), "image")
    assert Schema.from_json(schema.to_json()) == schema


def test_label_and_key_are_no_inputs() -> None:
    schema = Schema({"id": DIGIT, "image": IMAGE, "digit": DIGIT}, ("digit",), "id")
    assert list(schema.inputs) == ["image"]
    assert list(schema.labels) == ["digit"]


def test_a_key_that_is_the_only_feature_besides_the_label_is_the_input() -> None:
    schema = Schema({"image": IMAGE, "digit": DIGIT}, ("digit",), "image")
    assert list(schema.inputs) == ["image"]


def test_a_feature_varies_when_one_of_its_dimensions_does() -> None:
    assert IMAGE.varies
    assert not DIGIT.varies

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.convert.answers import Answers
from mlflow_tfconv.steps.convert.samples import stored_samples
from mlflow_tfconv.steps.convert.workplace import Workplace, exports_in


def test_exports_reach_the_output_only_when_they_are_put_there(tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model/old.pb").write_text("old")
    with Workplace(tmp_path) as place:
        exports = exports_in(place.root)
        (exports / "saved_model").mkdir()
        (exports / "saved_model/new.pb").write_text("new")
        (exports / "model.onnx").write_text("onnx")
        assert [path.name for path in (tmp_path / "saved_model").iterdir()] == ["old.pb"]
        place.put_in_place()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "saved_model"]
    assert [path.name for path in (tmp_path / "saved_model").iterdir()] == ["new.pb"]


def test_a_failure_leaves_nothing_and_a_killed_conversion_is_cleaned_up(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), Workplace(tmp_path / "new"):
        raise ValueError("stop")
    assert not (tmp_path / "new").exists()
    left = Workplace(tmp_path)
    left._lock.close()  # as the kernel does with the lock of a process that is killed
    with Workplace(tmp_path) as at_work:
        assert not left.root.exists()
        with Workplace(tmp_path):
            assert at_work.root.exists()


def test_what_is_in_the_way_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(ConfigError, match="Something else is where an export has to go"):
        Workplace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers")
    words = np.array([[b"a\0", b""], [b"\xff", b"z"]], dtype=object)
    half = tf.constant([1.5, 2.5], tf.bfloat16).numpy()
    first = {"x/y": np.arange(6, dtype=np.int32).reshape(2, 3), "words": words}
    answers.add(first, {"out": np.float32(7), "half": half})
    answers.add({"x/y": np.zeros((0, 3)), "words": words}, {"out": np.array(True)})
    (batch, answer), (empty, truth) = answers
    assert list(batch) == ["x/y", "words"]
    np.testing.assert_array_equal(batch["x/y"], first["x/y"])
    assert (batch["words"] == words).all()
    assert (answer["out"].shape, answer["half"].dtype) == ((), half.dtype)
    assert empty["x/y"].shape == (0, 3)
    assert truth["out"].dtype == bool


SPECS = (TensorSpec(name="x", dtype="float32", shape=(None, 2)),)


@pytest.mark.parametrize(
    "samples",
    [
        np.ones((4, 2)),
        {"x": np.ones((4, 2))},
        [{"x": np.ones((2, 2))}, {"x": np.ones((2, 2))}],
        (np.ones((2, 2)) for _ in range(2)),
        tf.data.Dataset.from_tensor_slices(np.ones((4, 2), np.float32)).batch(2),
        tf.data.Dataset.from_tensor_slices((np.ones((4, 2), np.float32), [0] * 4)).batch(2),
        tf.ones((4, 2)),
        [[1.0, 1.0]] * 4,
    ],
    ids=["array", "dict", "list", "generator", "dataset", "pairs", "tensor", "numbers"],
)
def test_samples_travel_in_whatever_form_they_are_given(samples: object, tmp_path: Path) -> None:
    stored = stored_samples(samples, tmp_path / "samples")
    found = list(stored.batches(SPECS))
    assert sum(len(batch["x"]) for batch in found) == 4
    assert all(batch["x"].dtype == np.float32 for batch in found)


def test_samples_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no batches"):
        stored_samples(lambda: 1, tmp_path / "samples")

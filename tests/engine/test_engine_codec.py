from __future__ import annotations

import json
from pathlib import Path

from mlflow_tfconv.artifacts import Checkpoint, ConvertedModel, ParityReport, TensorSpec
from mlflow_tfconv.engine.codec import decode, encode


def test_a_noun_survives_a_move_of_its_folder_and_of_the_store():
    noun = ConvertedModel(
        source=Path("/state/results/train/1/model.keras"),
        saved_model=Path("/work/here/saved_model"),
        onnx=None,
        inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 8)),),
        outputs=(),
        warnings=("a note",),
    )
    text = json.dumps(encode(noun, Path("/work/here"), Path("/state")))
    moved = decode(json.loads(text), Path("/other/place"), Path("/elsewhere"))
    assert moved.saved_model == Path("/other/place/saved_model")
    assert moved.source == Path("/elsewhere/results/train/1/model.keras")
    assert moved.inputs == noun.inputs
    assert moved.warnings == ("a note",)


def test_numpy_numbers_become_plain_ones():
    import numpy as np

    noun = Checkpoint(path=Path("/a/b"), history={"loss": (np.float32(0.5),)})
    assert encode(noun, Path("/a"))["history"] == {"loss": [0.5]}


def test_nested_reports_keep_their_kind():
    report = ParityReport(
        reference=Path("/a/x"),
        candidate=Path("/a/y"),
        passed=True,
        max_abs_error=0.0,
        max_rel_error=0.0,
        absolute_tolerance=1e-4,
        relative_tolerance=1e-3,
        examples=3,
    )
    data = json.loads(json.dumps(encode({"r": report}, Path("/a"))))
    assert decode(data, Path("/a"))["r"] == report

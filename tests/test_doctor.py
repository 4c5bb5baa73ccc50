"""The doctor: each broken environment is told in words that can be acted on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mlflow_tfconv.doctor import Finding, diagnose, print_diagnosis
from mlflow_tfconv.installation import Facts, probed

SOUND = Facts(
    versions={
        "numpy": "2.4.6",
        "mlflow": "3.17.2",
        "sqlalchemy": "2.0.57",
        "tensorflow": "2.21.0",
        "tf-keras": "2.21.0",
        "onnxruntime-gpu": "1.26.0",
    },
    requirements=("mlflow>=2.22,<4", "onnxruntime>=1.24; platform_system == 'Nowhere'"),
    driver="NVIDIA driver 550.54, 1 GPU",
    gpus=1,
    onnxruntime_build={"package_name": "onnxruntime-gpu", "cuda_version": "12.8"},
    tensorflow={"version": "2.21.0", "build": {"cuda_version": "12.5.1"}, "gpus": ["GPU:0"]},
    onnxruntime={"version": "1.26.0"},
)


def told(**changes: Any) -> dict[str, Finding]:
    """Subject to finding, of all that are not ok."""
    versions = {**SOUND.versions, **changes.pop("versions", {})}
    facts = dataclasses.replace(SOUND, versions=versions, **changes)
    return {finding.subject: finding for finding in diagnose(facts) if finding.level != "ok"}


def test_a_sound_environment_has_no_complaints_and_exit_code_0() -> None:
    assert told() == {}
    assert print_diagnosis(diagnose(SOUND)) == 0


def test_two_onnxruntimes_overwrite_each_other_and_the_winner_is_named() -> None:
    finding = told(
        versions={"onnxruntime": "1.31.1"}, onnxruntime_build={"package_name": "onnxruntime"}
    )["onnxruntime"]
    assert finding.level == "broken"
    assert finding.text.endswith("those of onnxruntime")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in str(finding.fix)


def test_cuda_13_beside_cuda_12_matters_on_a_gpu_only() -> None:
    build = {"package_name": "onnxruntime-gpu", "cuda_version": "13.0"}
    assert "CUDA 13.0, TensorFlow for CUDA 12.5.1" in told(onnxruntime_build=build)["CUDA"].text
    assert "CUDA" not in told(onnxruntime_build=build, gpus=0)


def test_two_cudnns_overwrite_each_other() -> None:
    both = {"nvidia-cudnn-cu12": "9.10.0", "nvidia-cudnn-cu13": "9.12.0"}
    assert "libcudnn.so.9" in told(versions=both)["cuDNN"].text


def test_a_gpu_that_tensorflow_does_not_see_is_broken() -> None:
    blind = {"version": "2.21.0", "build": {"cuda_version": "12.5.1"}, "gpus": []}
    assert "tensorflow[and-cuda]" in str(told(tensorflow=blind)["TensorFlow"].fix)


def test_a_tensorflow_that_cannot_be_imported_is_broken() -> None:
    assert "no libfoo" in told(tensorflow={"error": "ImportError: no libfoo"})["TensorFlow"].text


def test_an_onnxruntime_that_falls_back_is_broken() -> None:
    finding = told(onnxruntime={"error": "DeviceError: fell back"})["ONNX Runtime"]
    assert "fell back" in finding.text
    assert "<1.27" in str(finding.fix)


def test_the_doctor_and_the_errors_of_devices_say_the_same() -> None:
    why = "NVIDIA driver 550.54 (CUDA up to 12.4), 1 GPU; missing: libcudnn.so.9 (not found)"
    told_so = {"version": "1.31.1", "error": "fell back", "why": why, "fix": "pip install this"}
    finding = told(onnxruntime=told_so)["ONNX Runtime"]
    assert finding.text.endswith(why)
    assert finding.fix == "pip install this"
    blind = {"version": "2.21.0", "build": {}, "gpus": [], "why": why, "fix": "pip install that"}
    assert why in told(tensorflow=blind)["TensorFlow"].text
    assert told(tensorflow=blind)["TensorFlow"].fix == "pip install that"


def test_sqlalchemy_2_1_breaks_mlflow_2_22_only() -> None:
    new = {"sqlalchemy": "2.1.0"}
    assert "SQLAlchemy" not in told(versions=new)
    assert "'sqlalchemy<2.1'" in str(told(versions={**new, "mlflow": "2.22.5"})["SQLAlchemy"].fix)


def test_tf_keras_has_to_match_tensorflow() -> None:
    assert "tf_keras==2.21.*" in str(told(versions={"tf-keras": "2.20.1"})["tf_keras"].fix)


def test_an_mlflow_that_does_not_know_us_is_broken() -> None:
    assert "entry point" in told(entry_points=("other",))["MLflow"].text


def test_an_unmet_requirement_is_broken() -> None:
    finding = told(requirements=("numpy>=3", "sympy>=1.12"))
    assert finding["numpy"].text == "2.4.6, but mlflow-tfconv needs numpy>=3"
    assert finding["sympy"].fix == "pip install 'sympy>=1.12'"


def test_what_is_broken_gives_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_diagnosis((Finding(level="broken", subject="x", text="y", fix="z[gpu]"),)) == 1
    assert "z[gpu]" in capsys.readouterr().out


def test_a_probe_that_dies_is_told_by_its_signal() -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert probed(crash) == {"error": "the process died by signal 11"}


def test_a_probe_that_raises_is_told_by_its_exception() -> None:
    assert probed("import no_such_module") == {
        "error": "ModuleNotFoundError: No module named 'no_such_module'"
    }


def test_a_probe_tells_what_it_prints() -> None:
    assert probed("print('noise'); print('{\"version\": \"1\"}')") == {"version": "1"}

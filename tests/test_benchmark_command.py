"""`tfconv benchmark` in a CI: what is printed where, what is written, and which exit code."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv import benchmark_run
from mlflow_tfconv.__main__ import main
from mlflow_tfconv.benchmark_flags import Outputs, named_models, say, settings_of
from mlflow_tfconv.errors import ConfigError

QUICK = [
    *("-b", "1", "--set", "min_time_s=0.02", "--set", "min_count=5", "--set", "blocks=2"),
    *("--set", "warmup_time_s=0", "--set", "profile=false", "--set", "retries=0"),
]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["benchmark", *map(str, words)])


def write_model(path: Path, layers: int) -> None:
    """`layers` products with a matrix of 64 x 64, each its own, one after the other."""
    random = np.random.default_rng(0)
    names = ["x", *(f"h{n}" for n in range(1, layers)), "y"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [names[n], f"w{n}"], [names[n + 1]]) for n in range(layers)],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [
            numpy_helper.from_array(random.normal(size=(64, 64)).astype(np.float32), f"w{n}")
            for n in range(layers)
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one that is cut, samples and labels."""
    folder = tmp_path_factory.mktemp("files")
    write_model(folder / "small.onnx", 1)
    write_model(folder / "large.onnx", 3)
    (folder / "cut.onnx").write_bytes((folder / "small.onnx").read_bytes()[:1000])
    random = np.random.default_rng(0)
    np.savez(folder / "samples.npz", x=random.normal(size=(16, 64)).astype(np.float32))
    np.save(folder / "labels.npy", random.integers(0, 64, 16))
    return folder


@pytest.fixture(scope="module")
def compared(folder: Path) -> Result:
    """Two models compared, with everything that can be asked for."""
    return call(
        f"old={folder / 'small.onnx'}",
        f"my-new.v2={folder / 'large.onnx'}",
        *("--samples", folder / "samples.npz", "--labels", folder / "labels.npy"),
        *("--metric", "accuracy", "--threads", 1, "--json", "-", "--html", folder / "page.html"),
        *("--folder", folder / "kept"),
        *("--fail-if", "my-new.v2.footprint/size_mb > 2 * old.footprint/size_mb"),
        *("--fail-if", "old.latency/p50_ms > 10000"),
        *(*QUICK, "--set", "profile=true"),
    )


def test_standard_output_holds_json_and_nothing_else(compared: Result) -> None:
    data = json.loads(compared.stdout)
    assert [row["run_name"] for row in data["rows"]] == ["old/onnx", "my-new.v2/onnx"]
    assert data["rows"][0]["metrics"]["latency/p50_ms"] > 0
    assert data["environment"]["device_options"]["intra_op_threads"] == 1
    assert "quality/accuracy" in data["rows"][1]["metrics"]


def test_a_condition_that_is_met_is_exit_code_3_and_says_why(compared: Result) -> None:
    assert compared.exit_code == 3, compared.stderr
    met, not_met = json.loads(compared.stdout)["conditions"]
    assert (met["met"], not_met["met"]) == (True, False)
    assert met["values"]["old.footprint/size_mb"] > 0
    assert "2 * old.footprint/size_mb: met (my-new.v2.footprint/size_mb = 0.0" in compared.stderr


def test_the_page_is_written(compared: Result, folder: Path) -> None:
    assert "my-new.v2/onnx" in (folder / "page.html").read_text(encoding="utf-8")


def test_everything_is_left_in_the_folder(compared: Result, folder: Path) -> None:
    kept = folder / "kept"
    names = {file.relative_to(kept).as_posix() for file in kept.rglob("*") if file.is_file()}
    assert {"report.json", "report.html", "raw_samples.parquet", "old/onnx/trace.json"} <= names
    assert "beside this page" in (kept / "report.html").read_text(encoding="utf-8")


def test_one_that_fails_is_exit_code_1_and_the_others_are_told(folder: Path) -> None:
    result = call(
        f"old={folder / 'small.onnx'}",
        f"new={folder / 'cut.onnx'}",
        *("--json", folder / "out.json", "--fail-if", "new.latency/p50_ms > old.latency/p50_ms"),
        *QUICK,
    )
    assert result.exit_code == 1
    assert "The condition can't be judged: new/onnx could not be measured." in result.stderr
    assert "old/onnx" in result.stdout
    data = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert data["conditions"][0]["met"] is None
    assert data["rows"][1]["failure"].startswith("ONNX Runtime can't load this file.")


def test_what_was_not_measured_is_exit_code_2_and_never_a_pass(folder: Path) -> None:
    result = call(folder / "small.onnx", "--fail-if", "small.latency/p50 > 10 * 0", *QUICK)
    assert result.exit_code == 2
    assert "Did you mean 'latency/p50_ms'?" in result.stderr


def test_where_nothing_can_be_measured_the_json_says_why(folder: Path) -> None:
    result = call(folder / "cut.onnx", "--json", "-", *QUICK)
    assert result.exit_code == 1
    assert "could not be measured" in json.loads(result.stdout)["error"]["what"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a={0}/small.onnx --fail-if a.x>", "is missing here"),
        ("a={0}/small.onnx --fail-if b.sparsity>1", "no variant 'b'"),
        ("a={0}/small.onnx a={0}/large.onnx", "can't be told from the others"),
        ("={0}/small.onnx", "A word is missing"),
        ("{0}/small.onnx --json {0}/no/out.json", "can't be written there"),
        ("{0}/small.onnx --html {0}", "can't be written there"),
        ("{0}/small.onnx --minutes soon", "Invalid value"),
        ("{0}/small.onnx --scenario sever", "Invalid value"),
    ],
)
def test_a_wrong_use_is_exit_code_2_before_anything_is_measured(
    folder: Path, words: str, message: str
) -> None:
    result = call(*words.format(folder).split(" "))
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--samples {}/small.onnx", "The samples can't be read."),
        ("--samples {}/samples.npz --labels {}/none.npy", "The labels can't be read."),
        ("--labels {}/labels.npy", "no samples"),
        ("--set min_times=1", "Did you mean 'min_time_s'?"),
        ("--set server.bound=1", "server"),
        ("--set server", "KEY=VALUE"),
        ("--set device_options=1", "device_options"),
        ("--minutes 0", "minutes"),
    ],
)
def test_what_can_not_be_used_is_told(folder: Path, words: str, message: str) -> None:
    result = call(folder / "small.onnx", *words.replace("{}", str(folder)).split(" "))
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_help_names_each_exit_code_on_a_line_of_its_own() -> None:
    lines = [line.strip() for line in call("--help").output.splitlines()]
    assert "0  everything was measured, and no condition is met" in lines
    assert "3  a condition is met (also when another model could not be measured)" in lines


def test_a_reader_who_has_left_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as nobody:  # noqa: PTH123 (no path: a pipe's end)
        monkeypatch.setattr(sys, "stdout", nobody)
        say("a table")
        say("more")


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file, limits = tmp_path / "report.html", resource.getrlimit(resource.RLIMIT_FSIZE)
    file.write_text("before", encoding="utf-8")
    outputs = Outputs(json=None, html=file)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ConfigError, match="can't be written"):
            outputs.write_html(lambda: "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_text(encoding="utf-8") == "before"
    outputs.write_html(lambda: "after")
    assert [(f.name, f.read_text(encoding="utf-8")) for f in tmp_path.iterdir()] == [
        ("report.html", "after")
    ]


def test_a_report_can_go_into_a_pipe() -> None:
    reading, writing = os.pipe()
    Outputs(json=None, html=Path(f"/dev/fd/{writing}")).write_html(lambda: "page")
    assert os.read(reading, 100) == b"page"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_ends_in_order(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    cleared = []

    def compare(*_: object, **__: object) -> int:
        try:
            os.kill(os.getpid(), number)
        finally:
            cleared.append(True)
        return 0

    monkeypatch.setattr(benchmark_run, "compare", compare)
    assert call("a.onnx").exit_code == 128 + number
    assert cleared


def test_labels_may_have_any_name(folder: Path) -> None:
    np.savez(folder / "labels.npz", truth=np.load(folder / "labels.npy"))
    words = ("--samples", folder / "samples.npz", "--labels", folder / "labels.npz", *QUICK)
    result = call(folder / "small.onnx", *words, "--fail-if", "small.quality/accuracy < 0")
    assert result.exit_code == 0, result.stderr


def test_models_get_the_names_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "a=b.onnx").write_bytes(b"")
    texts = ["x/m.onnx", "y/m.onnx", "n=z/m.onnx", str(tmp_path / "a=b.onnx")]
    assert list(named_models(texts)) == ["m", "m-2", "n", "a=b"]


def test_settings_are_nested_json_or_text() -> None:
    texts = ["a=1", "b.c=[1, 2]", "b.d=word", "e=null"]
    assert settings_of(texts) == {"a": 1, "b": {"c": [1, 2], "d": "word"}, "e": None}
    for wrong in (["a"], ["=1"], ["a=1", "a.b=2"], ["a.b=2", "a=1"]):
        with pytest.raises(ConfigError, match="can't be understood"):
            settings_of(wrong)

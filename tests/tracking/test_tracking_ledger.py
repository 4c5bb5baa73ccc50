from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.tracking.ledger import Ledger


def test_what_is_noted_is_there_for_the_next_command(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    ledger = Ledger(path, "here")
    ledger.note_model("model", "run")
    ledger.note_step("run", "train", "f1")
    ledger.note_child("run", "int8/onnx", "child", "f2")
    again = Ledger(path, "here")
    assert again.parent_of("model") == "run"
    assert again.has_step("run", "train", "f1")
    assert not again.has_step("run", "train", "f0")
    assert again.children("run") == {"int8/onnx": "child"}


def test_another_destination_knows_nothing_of_it_and_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    Ledger(path, "here").note_model("model", "run")
    Ledger(path, "there").note_model("model", "other")
    assert Ledger(path, "here").parent_of("model") == "run"
    assert Ledger(path, "there").parent_of("model") == "other"


def test_a_forgotten_parent_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.json", "here")
    ledger.note_model("model", "run")
    ledger.note_open("run", "model")
    ledger.note_step("run", "train", "f1")
    ledger.forget("run")
    assert ledger.parent_of("model") is None
    assert ledger.open_parent() is None
    assert not ledger.has_step("run", "train", "f1")


def test_a_damaged_ledger_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_text('{"here": ')
    assert Ledger(path, "here").parent_of("model") is None

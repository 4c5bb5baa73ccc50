"""The models of old libraries in tests/fixtures/legacy, as a user would convert them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "fixtures/legacy"


@dataclass(frozen=True)
class LegacyCase:
    """One entry of a case.

    Attributes:
        name: The case, and which of its entries.
        folder: Its files.
        source: What is converted.
        arguments: What a user has to say.
        facts: All of case.json.
    """

    name: str
    folder: Path
    source: Path
    arguments: dict[str, Any]
    facts: dict[str, Any]

    @property
    def tolerance(self) -> dict[str, float]:
        """What outputs may differ by."""
        return dict(self.facts["tolerance"])

    def expected(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Inputs and outputs by the names in case.json, as the old library computed them."""
        inputs, outputs = _split(np.load(self.folder / "expected.npz", allow_pickle=True))
        averaged = self.name[-4:] if self.name[-4:] in ("_ema", "_raw") else ""
        found = [(inputs, {n: v for n, v in outputs.items() if n.endswith(averaged)})]
        if "second_expected" in self.facts:
            arrays = dict(np.load(self.folder / self.facts["second_expected"]))
            outputs = {name: arrays.pop(name) for name in self.facts["outputs"]}
            found.append((arrays, outputs))
        return found


def legacy_cases(root: Path = FOLDER) -> list[LegacyCase]:
    """Every entry of every case whose files are here."""
    return [
        case
        for file in sorted(root.glob("*/case.json"))
        for case in _entries(file.parent, json.loads(file.read_text()))
        if _is_there(case)
    ]


def _is_there(case: LegacyCase) -> bool:
    return case.source.exists() or any(case.source.parent.glob(f"{case.source.name}.*"))


def _entries(folder: Path, facts: dict[str, Any]) -> list[LegacyCase]:
    entries = [facts[key] for key in ("entry", "alternative_entry") if key in facts]
    if isinstance(facts["entry"], dict) and "json" not in facts["entry"]:
        entries = list(facts["entry"].values())
    cases = [_case(folder, facts, entry, number) for number, entry in enumerate(entries)]
    if any(name.endswith("_ema") for name in facts["outputs"]):
        return [
            replace(cases[0], name=f"{facts['name']}{weights}", arguments={"use_ema": use})
            for weights, use in (("_ema", True), ("_raw", False))
        ]
    return cases


def _case(folder: Path, facts: dict[str, Any], entry: Any, number: int) -> LegacyCase:
    arguments = _hints(facts)
    if isinstance(entry, dict):
        arguments["weights"] = folder / entry["weights"]
        entry = entry["json"]
    if (folder / "architecture.json").is_file():
        arguments["architecture"] = folder / "architecture.json"
    name = facts["name"] + (f"-{number}" if number else "")
    return LegacyCase(name, folder, folder / entry, arguments, facts)


def _hints(facts: dict[str, Any]) -> dict[str, Any]:
    """`hints_a_user_may_give` as arguments of `convert`."""
    arguments: dict[str, Any] = {}
    for name, value in facts.get("hints_a_user_may_give", {}).items():
        if name in ("input", "output"):
            arguments[f"{name}s"] = value.split(" or ")[0]
        elif name in ("inputs", "outputs", "original_backend"):
            arguments[name] = value
        else:
            arguments.setdefault("lambdas", {})[name] = LAMBDAS[value]
    return arguments


def scaled(x: Any) -> Any:
    """Of a camera's picture."""
    return x / 127.5 - 1.0


def unit(x: Any) -> Any:
    """Of length 1 along the last axis."""
    import tensorflow as tf

    return x * tf.math.rsqrt(tf.maximum(tf.reduce_sum(x**2, -1, keepdims=True), 1e-12))


LAMBDAS = {"x / 127.5 - 1.0": scaled, "l2_normalize(axis=-1)": unit}


def _split(arrays: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs = {k.removeprefix("in__"): arrays[k] for k in arrays.files if k.startswith("in__")}
    outputs = {k.removeprefix("out__"): arrays[k] for k in arrays.files if k.startswith("out__")}
    return inputs, outputs


def matched(names: list[str], specs: Any, described: dict[str, Any]) -> dict[str, str]:
    """Name in case.json to the name in the converted model: by tensor, by name, or the only one.

    Keras calls the input of a Sequential and unnamed layers by names of its own, which are no part
    of what case.json says: where all else fails, equal dtype and rank decide.
    """
    from mlflow_tfconv.runtimes.names import tidy_name

    found: dict[str, str] = {}
    free = {spec.name: spec for spec in specs}
    for name in names:
        tensor = described.get(name, {}).get("tensor", name)
        for candidate in (tidy_name(tensor), tidy_name(name)):
            if candidate in free:
                found[name] = candidate
                free.pop(candidate)
                break
    for name in names:
        if name not in found:
            rank = len(described[name]["shape"])
            fitting = [s.name for s in free.values() if len(s.shape) == rank] or list(free)
            if fitting:
                found[name] = fitting[0]
                free.pop(fitting[0])
    return found

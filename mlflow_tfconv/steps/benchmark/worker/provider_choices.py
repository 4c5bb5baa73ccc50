"""What ONNX Runtime says of its own choice of a device for each node."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Any

#: Session options that have ONNX Runtime keep and tell its choices.
RECORDED = {"session.record_ep_graph_assignment_info": "1"}
TALKATIVE = {"log_severity_level": 1}  # informative
_WARNINGS = 2
_LEFT_ON_CPU = re.compile(r"Force fallback to CPU execution for node: (.+?) because")
_INFORMATIVE = re.compile(r"\[[IV]:onnxruntime")


def compiled_nodes(session: Any) -> dict[str, int]:
    """Provider to the number of the model's nodes that it has, of those that compile many into one.

    Empty for versions of ONNX Runtime that do not tell, and without the options `RECORDED`.
    """
    try:
        parts = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError, ValueError):
        return {}
    found: dict[str, list[int]] = {}
    for part in parts:
        found.setdefault(part.ep_name, []).append(len(part.get_nodes()))
    return {name: sum(counts) for name, counts in found.items() if max(counts) > 1}


@contextlib.contextmanager
def names_left_on_cpu() -> Iterator[set[str]]:
    """The nodes of which ONNX Runtime says within that the CPU is the better place for them.

    It says so when a session is opened with the options `TALKATIVE`, on the process's standard
    error, where its warnings and errors still go afterwards.
    """
    names: set[str] = set()
    ort = importlib.import_module("onnxruntime")
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        ort.set_default_logger_severity(TALKATIVE["log_severity_level"])
        try:
            yield names
        finally:
            ort.set_default_logger_severity(_WARNINGS)
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            names.update(_told(file.read().decode("utf-8", "replace")))


def _told(text: str) -> Iterator[str]:
    for line in text.splitlines():
        found = _LEFT_ON_CPU.search(line)
        if found:
            yield found[1].strip()
        elif line.strip() and not _INFORMATIVE.search(line):
            os.write(2, line.encode() + b"\n")

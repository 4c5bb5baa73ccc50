"""What a worker can be told. A command's file is imported when it is first given."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

Command = Callable[..., dict[str, Any]]
_ROOM = "mlflow_tfconv.steps.benchmark.worker"
#: Name to the function `(opened: OpenedModel, **arguments) -> plain values`.
COMMANDS = {
    "prove": f"{_ROOM}.opening:proved",
    "open": f"{_ROOM}.opening:open_model",
    "predict": f"{_ROOM}.predictions:predicted",
    "memory": f"{_ROOM}.memory:memory",
    "estimate": f"{_ROOM}.estimating:estimate",
    "arena": f"{_ROOM}.arena:arena",
    "time": f"{_ROOM}.single_stream:timed_turn",
    "profile": f"{_ROOM}.profiling:profile",
    "offline": f"{_ROOM}.offline:offline",
    "server": f"{_ROOM}.server:server",
    "concurrent": f"{_ROOM}.concurrent:concurrent",
    "bound": f"{_ROOM}.io_binding:bound",
    "gpu_state": f"{_ROOM}.gpu_state:gpu_state",
    "energy": f"{_ROOM}.energy:energy",
}


def obeyed(opened: OpenedModel, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the command gives.

    Raises:
        BenchmarkError: There is no such command.
    """
    if name not in COMMANDS:
        raise BenchmarkError(
            "The worker knows no such command.", received=name, expected=", ".join(COMMANDS)
        )
    module, _, function = COMMANDS[name].partition(":")
    command: Command = getattr(import_module(module), function)
    return command(opened, **arguments)

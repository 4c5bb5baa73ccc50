"""Where a model computes, and how TensorFlow and ONNX Runtime are told so.

Importable with nothing but numpy and onnxruntime installed: the benchmark worker uses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Limits of a device.

    Attributes:
        memory_limit_mb: Most GPU memory to take, in MB (10^6 bytes); None takes no limit.
        memory_growth: Take GPU memory as it is needed instead of all of it at once.
        allocator: TensorFlow's GPU allocator.
        intra_op_threads: Threads inside one operation; None lets the runtime decide.
        inter_op_threads: Operations at a time; None lets the runtime decide.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    memory_limit_mb: int | None = None
    memory_growth: bool = True
    allocator: Literal["bfc", "cuda_malloc_async"] = "bfc"
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A parsed `device` of recipe.yaml.

    Attributes:
        kind: "cpu" | "cuda" | "tensorrt".
        indices: The GPUs, empty on the CPU.
        options: Limits and threads.
    """

    kind: str = "cpu"
    indices: tuple[int, ...] = ()
    options: DeviceOptions = field(default_factory=DeviceOptions)

    def __str__(self) -> str:
        """As it is written in recipe.yaml."""
        return (
            self.kind if self.kind == "cpu" else f"{self.kind}:{','.join(map(str, self.indices))}"
        )

    @classmethod
    def parse(cls, text: str, options: DeviceOptions | None = None) -> Device:
        """Reads "cpu", "cuda:0", "cuda:0,1" or "tensorrt:0".

        Raises:
            ConfigError: The text is none of these.
        """
        match = re.fullmatch(r"(cpu)|(cuda|tensorrt):(\d+(?:,\d+)*)", text)
        if match is None:
            raise ConfigError(
                "The device is not understood.",
                received=repr(text),
                expected='"cpu", "cuda:0", "cuda:0,1" or "tensorrt:0"',
                fix="Set `device` in recipe.yaml or in the profile.",
            )
        indices = tuple(int(n) for n in match[3].split(",")) if match[3] else ()
        return cls(kind=match[1] or match[2], indices=indices, options=options or DeviceOptions())

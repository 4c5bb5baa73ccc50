"""A device as recipe.yaml names it, with its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Limits of a device.

    Attributes:
        memory_limit_mb: Most GPU memory to take, in MB (10^6 bytes); None takes no limit. On the
            CPU only what `batch_size: auto` may take on the host.
        memory_growth: Take GPU memory as it is needed instead of all of it at once.
        allocator: TensorFlow's GPU allocator; cuda_malloc_async knows no limit.
        intra_op_threads: Threads inside one operation; None lets the runtime decide.
        inter_op_threads: Operations at a time; None lets the runtime decide.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    memory_limit_mb: int | None = None
    memory_growth: bool = True
    allocator: Literal["bfc", "cuda_malloc_async"] = "bfc"
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None

    def __post_init__(self) -> None:
        """Checks the ranges, and that the options go together."""
        for key in ("memory_limit_mb", "intra_op_threads", "inter_op_threads"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(
                    f"device_options.{key} is out of range.",
                    received=value,
                    expected="a whole number of at least 1, or null",
                    fix=f"Change `{key}`, or leave it out.",
                )
        if self.allocator == "cuda_malloc_async":
            self._check_async()

    def _check_async(self) -> None:
        """CUDA's own pool takes TensorFlow's limit for the size down to which it gives back."""
        if self.memory_limit_mb is not None:
            raise ConfigError(
                "The allocator cuda_malloc_async does not keep to a memory limit.",
                received=f"allocator: cuda_malloc_async, memory_limit_mb: {self.memory_limit_mb}",
                expected="a memory limit with the allocator bfc, or cuda_malloc_async without one",
                fix="Leave out `allocator` or `memory_limit_mb` of device_options.",
            )
        if not self.memory_growth:
            raise ConfigError(
                "The allocator cuda_malloc_async takes memory as it is needed, never all at once.",
                received="allocator: cuda_malloc_async, memory_growth: false",
                expected="memory_growth: true with cuda_malloc_async",
                fix="Leave out `allocator` or `memory_growth` of device_options.",
            )


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
        match = re.fullmatch(r"(cpu)|(cuda|tensorrt):(\d+(?:,\d+)*)", str(text))
        indices = tuple(int(n) for n in match[3].split(",")) if match and match[3] else ()
        if match is None or len(set(indices)) < len(indices):
            raise ConfigError(
                "The device is not understood."
                if match is None
                else "The device names a GPU more than once.",
                received=repr(text),
                expected='"cpu", "cuda:0", "cuda:0,1" or "tensorrt:0"',
                fix="Set `device` in recipe.yaml or in the profile.",
            )
        return cls(kind=match[1] or match[2], indices=indices, options=options or DeviceOptions())

"""A device as recipe.yaml names it, with its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from mlflow_tfconv.errors import ConfigError

Allocator = Literal["bfc", "cuda_malloc_async"]
ArenaStrategy = Literal["same_as_requested", "next_power_of_two"]
_COUNTS = ("memory_limit_mb", "intra_op_threads", "inter_op_threads")
_SWITCHES = ("memory_growth", "cuda_graphs", "float16")
_CHOICES = {"allocator": get_args(Allocator), "arena_strategy": (*get_args(ArenaStrategy), None)}
#: Options that mean something with TensorRT only.
_OF_TENSORRT = ("float16", "engine_cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Limits of a device, and how it computes.

    Attributes:
        memory_limit_mb: Most GPU memory to take, in MB (10^6 bytes); None takes no limit. On the
            CPU only what `batch_size: auto` may take on the host.
        memory_growth: Take GPU memory as it is needed instead of all of it at once.
        allocator: TensorFlow's GPU allocator; cuda_malloc_async knows no limit.
        arena_strategy: How ONNX Runtime's GPU arena grows: by what is asked for, or by powers of
            two (fewer allocations, more memory); None follows memory_growth.
        intra_op_threads: Threads inside one operation; None lets the runtime decide.
        inter_op_threads: Operations at a time; None lets the runtime decide.
        tf32: Whether float32 products may be rounded to TF32 on an NVIDIA GPU of 2020 or newer;
            None leaves it to the runtime, which does it.
        cuda_graphs: ONNX Runtime records the work of a run once for each shape of the inputs, and
            launches it as a whole from then on. Every node of the model must be on the GPU.
        float16: TensorRT may compute in float16 where that is faster.
        engine_cache: Folder where TensorRT's engines are kept; without one they are built anew
            whenever a model is loaded, which takes minutes.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    memory_limit_mb: int | None = None
    memory_growth: bool = True
    allocator: Allocator = "bfc"
    arena_strategy: ArenaStrategy | None = None
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    tf32: bool | None = None
    cuda_graphs: bool = False
    float16: bool = False
    engine_cache: str | None = None

    def __post_init__(self) -> None:
        """Checks the ranges, and that the options go together."""
        for key in _COUNTS:
            value = getattr(self, key)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value >= 1):
                raise _out_of_range(key, value, "a whole number of at least 1, or null")
        for key in (*_SWITCHES, "tf32"):
            value = getattr(self, key)
            if not isinstance(value, bool) and not (key == "tf32" and value is None):
                raise _out_of_range(key, value, "true or false")
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                known = ", ".join("null" if choice is None else choice for choice in choices)
                raise _out_of_range(key, getattr(self, key), f"one of {known}")
        if self.engine_cache is not None and not (
            isinstance(self.engine_cache, str) and self.engine_cache
        ):
            raise _out_of_range("engine_cache", self.engine_cache, "a folder, or null")
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

    def __post_init__(self) -> None:
        """Refuses what would silently do nothing; on the CPU a profile may keep all GPU options."""
        options = self.options
        if self.kind == "cuda":
            asked = [name for name in _OF_TENSORRT if getattr(options, name)]
            if asked:
                raise ConfigError(
                    f"device_options.{asked[0]} does nothing on {self}.",
                    received=", ".join(f"{name}: {getattr(options, name)}" for name in asked),
                    expected=f"a device tensorrt:{','.join(map(str, self.indices))}",
                    fix="Set `device: tensorrt:0`, or leave the option out; a variant with "
                    "`quantize: float16` computes in float16 everywhere.",
                )
        if self.kind == "tensorrt" and options.tf32 is not None:
            raise ConfigError(
                f"device_options.tf32 does nothing on {self}: TensorRT has no such option.",
                received=f"tf32: {options.tf32}",
                expected="tf32 left out",
                fix="To switch TF32 off in all of NVIDIA's libraries set the environment variable "
                "NVIDIA_TF32_OVERRIDE=0.",
            )

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


def _out_of_range(key: str, value: object, expected: str) -> ConfigError:
    return ConfigError(
        f"device_options.{key} is out of range.",
        received=repr(value) if isinstance(value, str) else value,
        expected=expected,
        fix=f"Change `{key}`, or leave it out.",
    )

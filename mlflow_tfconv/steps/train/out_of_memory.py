"""What is said when training needs more memory than there is: what was asked for, what was free."""

from __future__ import annotations

import contextlib
import importlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.device import Device, gpu_state
from mlflow_tfconv.engine.guarded import free_memory_mb
from mlflow_tfconv.errors import OutOfMemoryError, TfconvError

_ITEM_BYTES = {"half": 2, "bfloat16": 2, "float": 4, "double": 8, "complex64": 8, "complex128": 16}
_FLOAT_NAMES = {"half": "float16", "float": "float32", "double": "float64"}
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = r"(?P<size>[\d.]+)\s*(?P<unit>[KMGTP]?)i?(?:B|bytes)\b"

#: `tensorflow/core/framework/op_kernel.cc`: a tensor of an operation.
_TENSOR = re.compile(
    r"OOM when allocating tensor with shape\s?\[(?P<shape>[\d,]*)\] and type (?P<type>\w+) "
    r"on (?:\S*device:)?(?P<device>[CG]PU:\d+)"
)
#: XLA and its allocators; numpy.
_BYTES = (
    re.compile(rf"[Oo]ut of memory (?:while )?trying to allocate {_SIZE}"),
    re.compile(rf"[Ff]ailed to allocate (?:request for )?{_SIZE}"),
    re.compile(rf"ran out of memory trying to allocate {_SIZE}"),
    re.compile(rf"Unable to allocate {_SIZE} for an array"),
)
#: What tells neither: a copy to the GPU, an operation in eager mode, CUDA itself, C++.
_WORDS = re.compile(
    r"failed to allocate memory|Dst tensor is not initialized|CUDA_ERROR_OUT_OF_MEMORY"
    r"|unable to allocate output tensor|std::bad_alloc|CUDNN_STATUS_ALLOC_FAILED"
)
_NODES = (
    re.compile(r"\[\[\{\{node (?P<name>[^}]+)\}\}\]\]"),
    re.compile(r"Detected at node (?P<name>\S+) defined at"),
    re.compile(r"\[Op:(?P<name>(?!__)\w+)\]"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """What an error message tells of memory that could not be had.

    Attributes:
        size_bytes: What was asked for, or None.
        shape: Of the tensor, or None.
        dtype: Of the tensor, or None.
        device: Such as "GPU:0", or None.
        operation: The operation with the layers around it, such as "model/conv1/Conv2D", or None.
    """

    size_bytes: int | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    device: str | None = None
    operation: str | None = None

    def asked(self) -> str:
        """What was asked for, in words."""
        size = "memory" if self.size_bytes is None else f"{self.size_bytes / 1e6:,.0f} MB"
        tensor = "" if self.shape is None else f" for a tensor of shape {self.shape} {self.dtype}"
        return size + tensor + (f" in {self.operation}" if self.operation else "")


def shortage_in(message: str) -> Shortage | None:
    """What a message of TensorFlow, XLA or numpy says of a lack of memory; None of another matter.

    A full disk or too many open files are RESOURCE_EXHAUSTED too, and not meant here.
    """
    operation = next((m["name"] for m in (r.search(message) for r in _NODES) if m), None)
    tensor = _TENSOR.search(message)
    if tensor is not None:
        shape = tuple(int(n) for n in tensor["shape"].split(",") if n)
        return Shortage(
            size_bytes=math.prod(shape) * _item_bytes(tensor["type"]),
            shape=shape,
            dtype=_FLOAT_NAMES.get(tensor["type"], tensor["type"]),
            device=tensor["device"],
            operation=operation,
        )
    size = next((m for m in (r.search(message) for r in _BYTES) if m), None)
    if size is not None:
        found = round(float(size["size"].rstrip(".")) * _UNITS[size["unit"]])
        return Shortage(size_bytes=found, operation=operation)
    return Shortage(operation=operation) if _WORDS.search(message) else None


@contextlib.contextmanager
def enough_memory(batch_size: int | str, device: Device) -> Iterator[None]:
    """Errors for lack of memory become one that says what was asked for and what there was.

    Args:
        batch_size: Examples a training step.
        device: Where it trains.

    Raises:
        OutOfMemoryError: From the error that was raised.
    """
    try:
        yield
    except TfconvError:
        raise
    except Exception as e:
        shortage = shortage_in(str(e)) or (Shortage() if isinstance(e, MemoryError) else None)
        if shortage is None:
            raise
        raise out_of_memory(shortage, batch_size, device) from e


def out_of_memory(shortage: Shortage, batch_size: int | str, device: Device) -> OutOfMemoryError:
    """The error for a lack of memory while training."""
    on_gpu = device.kind != "cpu" and not (shortage.device or "").startswith("CPU")
    place = (shortage.device or "GPU:0") if on_gpu else "the host"
    state = _of_gpu(device, place) if on_gpu else _of_host()
    return OutOfMemoryError(
        f"Training with batch_size {batch_size} needs more memory than {place} has: "
        f"{shortage.asked()} could not be had.",
        received=", ".join([f"asked for {shortage.asked()}", *state]),
        expected="a training step that fits",
        fix=_ways_out(batch_size, device, on_gpu=on_gpu),
    )


def _ways_out(batch_size: int | str, device: Device, *, on_gpu: bool) -> str:
    limited = on_gpu and device.options.memory_limit_mb is not None
    ways: Sequence[str] = (
        "`batch_size: auto` finds the largest that fits"
        + (f"; or set one below {batch_size}" if batch_size != 1 else ""),
        "`gradient_accumulation` trains on as many examples a step with a smaller batch_size",
        *(["`mixed_precision: float16` halves the activations"] if on_gpu else []),
        *(["`device_options.memory_limit_mb` can be raised"] if limited else []),
        "use a smaller model",
    )
    return f"{'; '.join(ways)}. The same command goes on from here."


def _of_gpu(device: Device, place: str) -> list[str]:
    """TensorFlow's own numbers of the device, its limit, and what the driver says of the GPU."""
    found = []
    tf = importlib.import_module("tensorflow")
    try:
        used = tf.config.experimental.get_memory_info(place)
        found.append(
            f"in use by TensorFlow {used['current'] / 1e6:,.0f} MB, "
            f"at most {used['peak'] / 1e6:,.0f} MB before"
        )
    except (ValueError, RuntimeError):  # an allocator that does not count
        found.append("in use by TensorFlow: not known")
    if device.options.memory_limit_mb is not None:
        found.append(f"limit {device.options.memory_limit_mb:,} MB (device_options)")
    number = int(place.rpartition(":")[2])
    state = gpu_state(device.indices[number]) if number < len(device.indices) else None
    if state is not None:
        found.append(f"free on the GPU {state.free_mb:,.0f} of {state.total_mb:,.0f} MB")
    return found


def _of_host() -> list[str]:
    resident = re.search(r"^VmRSS:\s+(\d+) kB$", _status(), re.MULTILINE)
    used = [f"in use by this process {int(resident[1]) * 1024 / 1e6:,.0f} MB"] if resident else []
    return [*used, f"free {free_memory_mb():,.0f} MB"]


def _status() -> str:
    try:
        return Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _item_bytes(name: str) -> int:
    """Of TensorFlow's names of types; those of whole numbers end in their bits."""
    bits = re.search(r"(\d+)$", name)
    if name in _ITEM_BYTES:
        return _ITEM_BYTES[name]
    return int(bits[1]) // 8 if bits else 1

"""Which of NVIDIA's libraries can be loaded here, of which version, and which are needed.

They are really loaded, which starts no GPU: only so is it known that theirs are there too.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.device.linked_libraries import linked_libraries

#: What is NVIDIA's: the rest belongs to the system and is there.
_OURS = re.compile(r"lib(cuda|cudart|cublas|cublasLt|cudnn|cufft|curand|nvrtc|nvinfer|nvonnx|cus)")
_DRIVER = "libcuda.so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One of NVIDIA's libraries that is needed.

    Attributes:
        name: As the loader looks for it, such as "libcudnn.so.9".
        version: What the library says of itself, or None.
        problem: Why it can't be loaded; None when it can.
    """

    name: str
    version: str | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """In words."""
        if self.problem is not None:
            return f"{self.name} ({self.problem})"
        return f"{self.name} ({self.version})" if self.version else self.name


def needed_by_file(path: Path) -> tuple[str, ...]:
    """NVIDIA's libraries that a library is linked with; none off Linux or when it is not there."""
    return tuple(name for name in linked_libraries(path) if _OURS.match(name))


def needed_for_cuda(cuda: str, cudnn: str | None) -> tuple[str, ...]:
    """What TensorFlow opens when it starts a GPU (tsl/platform/default/dso_loader.cc).

    Args:
        cuda: The version of CUDA that it was built for, such as "12.5.1".
        cudnn: That of cuDNN, such as "9".
    """
    major = cuda.partition(".")[0]
    behind = {"11": ("10", "11", "11"), "12": ("11", "11", "12")}.get(major, ("12", "12", "12"))
    names = ("libcufft.so", "libcusolver.so", "libcusparse.so")
    return (
        "libcuda.so.1",
        *(f"{name}.{major}" for name in ("libcudart.so", "libcublas.so", "libcublasLt.so")),
        *(f"{name}.{number}" for name, number in zip(names, behind, strict=True)),
        *([f"libcudnn.so.{cudnn.partition('.')[0]}"] if cudnn else []),
    )


def looked_up(names: Iterable[str]) -> tuple[Library, ...]:
    """Each of them with its version, or with the reason why it can't be loaded."""
    return tuple(_looked_up(name) for name in names)


def missing(libraries: Iterable[Library]) -> tuple[Library, ...]:
    """Those that pip can bring: libcuda comes with the driver."""
    return tuple(
        one for one in libraries if one.problem is not None and not one.name.startswith(_DRIVER)
    )


def _looked_up(name: str) -> Library:
    loaded, problem = None, "not found"
    for place in (name, *_pip_files(name)):
        try:
            loaded = ctypes.CDLL(place)
            break
        except OSError as error:
            problem = _reason(str(error), name)
    if loaded is None:
        return Library(name=name, problem=problem)
    return Library(name=name, version=_version(loaded, name))


def _pip_files(name: str) -> Iterator[str]:
    """Where NVIDIA's wheels put a library, which the loader alone does not look into."""
    for folder in dict.fromkeys(sys.path):
        for layout in ("nvidia/*/lib", "tensorrt_libs"):
            for found in sorted(Path(folder or ".").glob(f"{layout}/{name}")):
                yield str(found)


def _reason(text: str, name: str) -> str:
    """The loader's words; of a library that another one lacks its name."""
    found = re.match(r"(\S+): cannot open shared object file: No such file", text)
    if found is None:
        return text
    return "not found" if Path(found[1]).name == name else f"needs {found[1]}, not found"


def _version(library: Any, name: str) -> str | None:
    for beginning, asked in _VERSIONS.items():
        if name.startswith(beginning):
            try:
                return asked(library)
            except (AttributeError, OSError):  # an older one has no such function
                return None
    return None


def _number_by_pointer(function: str) -> Callable[[Any], str | None]:
    """CUDA's own way: 12090 is 12.9."""

    def asked(library: Any) -> str | None:
        value = ctypes.c_int(0)
        failed = getattr(library, function)(ctypes.byref(value))
        return None if failed else f"{value.value // 1000}.{value.value % 1000 // 10}"

    return asked


def _cudnn_version(library: Any) -> str:
    """90100 is 9.1.0, and 8907 was 8.9.7."""
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = int(library.cudnnGetVersion())
    major, rest = divmod(number, 10_000 if number >= 90_000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _by_property(function: str) -> Callable[[Any], str | None]:
    """The libraries of CUDA tell major, minor and patch level one by one."""

    def asked(library: Any) -> str | None:
        numbers = [ctypes.c_int(-1) for _ in range(3)]
        told = getattr(library, function)
        if any(told(which, ctypes.byref(number)) for which, number in enumerate(numbers)):
            return None
        return ".".join(str(number.value) for number in numbers)

    return asked


def _tensorrt_version(library: Any) -> str:
    """100301 is 10.3.1."""
    number = int(library.getInferLibVersion())
    major, rest = divmod(number, 10_000 if number >= 100_000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


_VERSIONS: dict[str, Callable[[Any], str | None]] = {
    "libcudart": _number_by_pointer("cudaRuntimeGetVersion"),
    "libcuda.so": _number_by_pointer("cuDriverGetVersion"),
    "libcudnn": _cudnn_version,
    "libcublas.so": _by_property("cublasGetProperty"),
    "libcufft": _by_property("cufftGetProperty"),
    "libcurand": _by_property("curandGetProperty"),
    "libcusolver": _by_property("cusolverGetProperty"),
    "libcusparse": _by_property("cusparseGetProperty"),
    "libnvinfer": _tensorrt_version,
}

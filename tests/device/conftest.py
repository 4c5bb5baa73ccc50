from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fake_nvml import FakeNvml


class FakeTensorFlow:
    """Takes settings as TensorFlow does: until it has started, or when nothing changes."""

    __version__ = "2.21.0"

    def __init__(self, gpus: int, started: bool = False) -> None:
        self.told: list[Any] = []
        self.started = started
        self.gpus = [SimpleNamespace(name=f"GPU:{n}") for n in range(gpus)]
        self.threads = {"intra": 0, "inter": 0}
        self.limits: dict[str, Any] = {}
        self.growth: dict[str, bool] = {}
        self.visible = self.gpus
        self.tf32 = True
        self.sysconfig = SimpleNamespace(get_build_info=lambda: {"cuda_version": "12.5.1"})
        self.config = SimpleNamespace(
            list_physical_devices=lambda kind: self.gpus,
            list_logical_devices=lambda kind: [
                SimpleNamespace(name=f"/device:{kind}:{n}")
                for n in range(1 if kind == "CPU" else len(self.visible))
            ],
            get_visible_devices=lambda kind: self.visible,
            set_visible_devices=self._set_visible,
            set_logical_device_configuration=self._set_limits,
            get_logical_device_configuration=lambda gpu: self.limits.get(gpu.name),
            LogicalDeviceConfiguration=lambda memory_limit: SimpleNamespace(
                memory_limit=memory_limit
            ),
            experimental=SimpleNamespace(
                enable_tensor_float_32_execution=self._set_tf32,
                tensor_float_32_execution_enabled=lambda: self.tf32,
                set_memory_growth=self._set_growth,
                get_memory_growth=lambda gpu: self.growth.get(gpu.name),
                get_device_details=lambda gpu: {
                    "device_name": "NVIDIA H200",
                    "compute_capability": (9, 0),
                },
            ),
            threading=SimpleNamespace(
                get_intra_op_parallelism_threads=lambda: self.threads["intra"],
                get_inter_op_parallelism_threads=lambda: self.threads["inter"],
                set_intra_op_parallelism_threads=lambda n: self._set_threads("intra", n),
                set_inter_op_parallelism_threads=lambda n: self._set_threads("inter", n),
            ),
        )

    def _tell(self, *what: Any) -> None:
        if self.started:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.told.append(what)

    def _set_visible(self, devices: list[Any], kind: str) -> None:
        self._tell("visible", [d.name for d in devices])
        self.visible = devices

    def _set_limits(self, gpu: Any, limits: list[Any]) -> None:
        self._tell("limit", gpu.name, *(limit.memory_limit for limit in limits))
        self.limits[gpu.name] = limits

    def _set_growth(self, gpu: Any, grows: bool) -> None:
        self._tell("growth", gpu.name, grows)
        self.growth[gpu.name] = grows

    def _set_tf32(self, on: bool) -> None:
        self.tf32 = on

    def _set_threads(self, kind: str, count: int) -> None:
        if self.threads[kind] != count:
            self._tell(kind, count)
            self.threads[kind] = count


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a fake TensorFlow in place; the environment it sets is restored."""
    for name in ("TF_GPU_ALLOCATOR", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def put(gpus: int, started: bool = False) -> FakeTensorFlow:
        fake = FakeTensorFlow(gpus, started)
        monkeypatch.setitem(sys.modules, "tensorflow", fake)
        return fake

    return put


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a fake pynvml in place, and shows all GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(gpus: int | None = 1, **options: Any) -> FakeNvml:
        fake = FakeNvml(gpus, **options)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return put

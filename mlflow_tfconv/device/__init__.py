"""Where a model computes, and how TensorFlow and ONNX Runtime are told so.

Importable with nothing but numpy and onnxruntime installed: the benchmark worker uses it.
"""

from mlflow_tfconv.device.gpu_conditions import gpu_reading, steady_facts
from mlflow_tfconv.device.in_force import InForce, tensorflow_in_force
from mlflow_tfconv.device.named_device import Device, DeviceOptions
from mlflow_tfconv.device.nvidia_driver import (
    Driver,
    GpuState,
    driver,
    driver_for_cuda,
    driver_state,
    gpu_count,
    gpu_state,
    require_gpus,
)
from mlflow_tfconv.device.on_onnxruntime import (
    check_providers,
    onnxruntime_in_force,
    onnxruntime_providers,
    onnxruntime_session,
    onnxruntime_session_options,
    proved_onnxruntime,
)
from mlflow_tfconv.device.on_tensorflow import apply_to_tensorflow
from mlflow_tfconv.device.onnxruntime_build import onnxruntime_build, onnxruntime_cuda
from mlflow_tfconv.device.visible_gpus import nvml_handle
from mlflow_tfconv.device.why_no_gpu import Build, Causes, causes_of

__all__ = [
    "Build",
    "Causes",
    "Device",
    "DeviceOptions",
    "Driver",
    "GpuState",
    "InForce",
    "apply_to_tensorflow",
    "causes_of",
    "check_providers",
    "driver",
    "driver_for_cuda",
    "driver_state",
    "gpu_count",
    "gpu_reading",
    "gpu_state",
    "nvml_handle",
    "onnxruntime_build",
    "onnxruntime_cuda",
    "onnxruntime_in_force",
    "onnxruntime_providers",
    "onnxruntime_session",
    "onnxruntime_session_options",
    "proved_onnxruntime",
    "require_gpus",
    "steady_facts",
    "tensorflow_in_force",
]

"""Where a model computes, and how TensorFlow and ONNX Runtime are told so.

Importable with nothing but numpy and onnxruntime installed: the benchmark worker uses it.
"""

from mlflow_tfconv.device.in_force import InForce, tensorflow_in_force
from mlflow_tfconv.device.named_device import Device, DeviceOptions
from mlflow_tfconv.device.nvidia_driver import (
    GpuState,
    driver_state,
    gpu_count,
    gpu_state,
    nvml_handle,
    require_gpus,
)
from mlflow_tfconv.device.on_onnxruntime import (
    check_providers,
    onnxruntime_cuda,
    onnxruntime_in_force,
    onnxruntime_providers,
    onnxruntime_session,
    onnxruntime_session_options,
    proved_onnxruntime,
)
from mlflow_tfconv.device.on_tensorflow import apply_to_tensorflow

__all__ = [
    "Device",
    "DeviceOptions",
    "GpuState",
    "InForce",
    "apply_to_tensorflow",
    "check_providers",
    "driver_state",
    "gpu_count",
    "gpu_state",
    "nvml_handle",
    "onnxruntime_cuda",
    "onnxruntime_in_force",
    "onnxruntime_providers",
    "onnxruntime_session",
    "onnxruntime_session_options",
    "proved_onnxruntime",
    "require_gpus",
    "tensorflow_in_force",
]

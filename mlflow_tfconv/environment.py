"""Environment variables that our processes set, where the user has not set them."""

from __future__ import annotations

import os

DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "1",  # TensorFlow's INFO chatter is off; its warnings stay
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # CUDA numbers GPUs as nvidia-smi and NVML do, not by speed
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime keeps a record of its use, for its makers
}


def set_defaults() -> None:
    """Sets them for this process and those it starts; libraries read them when imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)

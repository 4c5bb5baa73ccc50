"""The stages that follow opening, predicting and timing, in their order.

A stage lives in a file of its own and has one line here.
"""

from __future__ import annotations

from mlflow_tfconv.steps.benchmark.driver.bound_stage import BOUND
from mlflow_tfconv.steps.benchmark.driver.concurrent_stage import CONCURRENT
from mlflow_tfconv.steps.benchmark.driver.gpu_stage import ENERGY, GPU_AFTER, GPU_BEFORE
from mlflow_tfconv.steps.benchmark.driver.memory_stage import ESTIMATE, MEMORY
from mlflow_tfconv.steps.benchmark.driver.offline_stage import OFFLINE
from mlflow_tfconv.steps.benchmark.driver.profile_stage import PROFILE_ONNX, PROFILE_TENSORFLOW
from mlflow_tfconv.steps.benchmark.driver.server_stage import SERVER
from mlflow_tfconv.steps.benchmark.driver.stage import Stage

STAGES: tuple[Stage, ...] = (
    MEMORY,
    ESTIMATE,
    GPU_BEFORE,
    GPU_AFTER,
    BOUND,
    ENERGY,
    OFFLINE,
    SERVER,
    CONCURRENT,
    PROFILE_ONNX,
    PROFILE_TENSORFLOW,
)

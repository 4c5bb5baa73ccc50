"""How many processes read pieces and write shards."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

from mlflow_tfconv.steps.ingest.config import IngestConfig

_LITTLE_BYTES = 32_000_000  # a second process takes longer to start than to help with these


def writers_for(config: IngestConfig, tasks: int, size_bytes: int | None) -> int:
    """How many processes do so many tasks; 1 is this one."""
    if config.writers != "auto":
        return min(config.writers, tasks)
    if size_bytes is not None and size_bytes < _LITTLE_BYTES:
        return 1
    return min(usable_cores(), tasks)


def usable_cores() -> int:
    """Processor cores that this process may use: of the machine, less what a container forbids."""
    cores = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1.0
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))
    return max(1, math.ceil(cores))

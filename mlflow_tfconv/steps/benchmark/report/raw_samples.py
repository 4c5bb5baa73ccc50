"""All raw timings in one Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement


def write_raw_samples(measurements: Mapping[str, Measurement], file: Path) -> None:
    """One row a run: `variant`, `batch_size`, `run` (from 0, in their order), `latency_ns`."""
    tables = [
        pa.table(
            {
                "variant": pa.array([name] * len(values), pa.string()),
                "batch_size": np.full(len(values), size, np.int32),
                "run": np.arange(len(values), dtype=np.int32),
                "latency_ns": values,
            }
        )
        for name, measurement in measurements.items()
        for size, values in measurement.samples.items()
    ]
    pq.write_table(pa.concat_tables(tables), file, compression="zstd")

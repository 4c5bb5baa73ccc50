"""All raw timings in one Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement
from mlflow_tfconv.steps.benchmark.driver.scenario_samples import (
    ScenarioSamples,
    scenario_samples,
)


def write_raw_samples(measurements: Mapping[str, Measurement], file: Path) -> None:
    """One row a run, with where it belongs and its latency.

    `variant`, `scenario` ("single_stream", "offline", ...), `part` (which turn, trial or streams),
    `batch_size`, `run` (from 0, in their order), `latency_ns`.
    """
    tables = [
        _table(name, samples) for name, own in measurements.items() for samples in _all_of(own)
    ]
    pq.write_table(pa.concat_tables(tables or [_EMPTY]), file, compression="zstd")


def _all_of(measurement: Measurement) -> Iterator[ScenarioSamples]:
    for size, tries in measurement.tries.items():
        for number, blocks in enumerate(tries, start=1):
            for turn, values in enumerate(blocks, start=1):
                part = f"turn {turn}" if number == 1 else f"try {number}, turn {turn}"
                yield ScenarioSamples(
                    scenario="single_stream", part=part, batch_size=size, latency_ns=values
                )
    yield from scenario_samples(measurement.details["stages"], measurement.timing_folder)


def _table(variant: str, samples: ScenarioSamples) -> pa.Table:
    count = len(samples.latency_ns)
    return pa.table(
        {
            "variant": pa.array([variant] * count, pa.string()),
            "scenario": pa.array([samples.scenario] * count, pa.string()),
            "part": pa.array([samples.part] * count, pa.string()),
            "batch_size": np.full(count, samples.batch_size, np.int32),
            "run": np.arange(count, dtype=np.int32),
            "latency_ns": samples.latency_ns,
        }
    )


_EMPTY = _table(
    "", ScenarioSamples(scenario="", part="", batch_size=0, latency_ns=np.empty(0, np.int64))
)

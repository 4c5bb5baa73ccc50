"""What may be asked of the scenarios besides single stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.steps.benchmark.option_rules import require

#: How several streams use the device: all call one session, or each has a session of its own.
Sharing = Literal["one_session", "own_sessions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineOptions:
    """Throughput: larger and larger batches, one after the other.

    Attributes:
        batch_sizes: To be timed, in ascending order; empty doubles from 1 until it no longer pays.
        min_gain: Doubling ends when a size brings less than this share more samples a second; the
            best size is the smallest that is within this share of the highest throughput.
        largest_batch: Doubling ends here at the latest.
        memory_limit_mb: A size that would take more memory than this (10^6 bytes, of the process on
            the CPU) is not tried; nothing leaves a fifth of what is free.
        min_time_s: Each size is timed for at least this long,
        min_count: and at least this often.
        time_limit_s: The sweep ends when the next size would take it beyond this.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    batch_sizes: tuple[int, ...] = ()
    min_gain: float = 0.05
    largest_batch: int = 4096
    memory_limit_mb: float | None = None
    min_time_s: float = 0.5
    min_count: int = 5
    time_limit_s: float = 60.0

    def __post_init__(self) -> None:
        _require_counts("offline.batch_sizes", self.batch_sizes, "[1, 8, 64]")
        ascending = list(self.batch_sizes) == sorted(self.batch_sizes)
        require(ascending, "offline.batch_sizes", self.batch_sizes, "ascending numbers")
        require(0 < self.min_gain < 1, "offline.min_gain", self.min_gain, "between 0 and 1")
        _require_above_0("offline", self, "largest_batch", "min_count", "min_time_s")
        _require_above_0("offline", self, "time_limit_s", "memory_limit_mb")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Queries that arrive at random: the highest rate that keeps a bound on the latency.

    Attributes:
        latency_bound_ms: The bound, from arrival to answer; nothing takes five times the median of a
            single stream, twice its 99th percentile or 1 ms, whichever is most: of the reference,
            so that all variants are held to the same bound.
        quantile: This share of the queries must keep the bound,
        confidence: and be shown to do so with this confidence.
        batch_size: Samples a query.
        threads: Threads that answer queries, on one session.
        min_time_s: Every rate is tried for at least this long.
        precision: The search ends when the highest rate is known to this share.
        seed: Of the arrivals.
        time_limit_s: The search and its confirmation take at most about this long.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    latency_bound_ms: float | None = None
    quantile: float = 0.99
    confidence: float = 0.99
    batch_size: int = 1
    threads: int = 1
    min_time_s: float = 0.5
    precision: float = 0.1
    seed: int = 0
    time_limit_s: float = 60.0

    def __post_init__(self) -> None:
        for name, least in (("quantile", 0.5), ("confidence", 0.5)):
            value = getattr(self, name)
            require(least <= value < 1, f"server.{name}", value, f"from {least} to below 1")
        require(0 < self.precision < 1, "server.precision", self.precision, "between 0 and 1")
        require(self.seed >= 0, "server.seed", self.seed, "0 or more")
        _require_above_0("server", self, "latency_bound_ms", "batch_size", "threads")
        _require_above_0("server", self, "min_time_s", "time_limit_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrentOptions:
    """Several streams at a time on one device.

    Attributes:
        counts: Numbers of streams; each stream is a thread that sends batch after batch.
        sharing: "one_session": all streams call one session; "own_sessions": each loads the model.
        batch_size: Samples a call.
        intra_op_threads: Threads inside an operation of each of the own sessions (ONNX Runtime
            only: TensorFlow's sessions share their threads); nothing takes the device's.
        min_time_s: Each combination is timed for at least this long,
        min_count: and each of its streams at least this often.
        time_limit_s: Combinations that would begin later than this are left out.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    counts: tuple[int, ...] = (1, 2, 4)
    sharing: tuple[Sharing, ...] = ("one_session", "own_sessions")
    batch_size: int = 1
    intra_op_threads: int | None = None
    min_time_s: float = 0.5
    min_count: int = 20
    time_limit_s: float = 60.0

    def __post_init__(self) -> None:
        require(len(self.counts) > 0, "concurrent.counts", self.counts, "such as [1, 2, 4]")
        _require_counts("concurrent.counts", self.counts, "[1, 2, 4]")
        known = ("one_session", "own_sessions")
        right = len(self.sharing) > 0 and set(self.sharing) <= set(known)
        right = right and len(set(self.sharing)) == len(self.sharing)
        require(right, "concurrent.sharing", self.sharing, f"{known[0]}, {known[1]} or both")
        _require_above_0("concurrent", self, "batch_size", "intra_op_threads")
        _require_above_0("concurrent", self, "min_time_s", "min_count", "time_limit_s")


def _require_counts(name: str, values: Sequence[int], example: str) -> None:
    whole = all(type(value) is int and value > 0 for value in values)
    require(whole, name, values, f"whole numbers above 0, such as {example}")
    require(len(set(values)) == len(values), name, values, "each number once")


def _require_above_0(scenario: str, options: object, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        right = value is None or 0 < value < math.inf
        require(right, f"{scenario}.{name}", value, "a number above 0")

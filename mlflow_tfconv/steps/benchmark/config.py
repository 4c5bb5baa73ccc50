"""What may be asked of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions
from mlflow_tfconv.steps.benchmark.option_rules import require
from mlflow_tfconv.steps.benchmark.quality_options import QualityOptions
from mlflow_tfconv.steps.benchmark.scenario_options import (
    ConcurrentOptions,
    OfflineOptions,
    ServerOptions,
)

Scenario = Literal["single_stream", "offline", "server", "concurrent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """How the variants are measured.

    Attributes:
        using: "builtin", or the import path of a step class of your own.
        batch_sizes: Each variant is timed with batches of these many examples.
        scenarios: `single_stream` times one batch after the other; `offline` looks for the batch
            size of the highest throughput; `server` for the highest rate of requests that keeps a
            latency bound; `concurrent` has several sessions or threads work at once.
        split: The examples that are predicted to judge the quality.
        examples: At most this many of them; None takes all.
        min_time_s: Each batch size is timed for at least this long, in all blocks together,
        min_count: and at least this often,
        max_time_s: but not for much longer than this, with fewer runs and rounds of slow models: at
            least one run a round, and four rounds.
        blocks: The variants are timed in turn (A B C A B C), in this many rounds.
        warmup_time_s: Runs before each block that are not counted, at least for this long,
        warmup_limit_s: and until the times no longer fall, but not longer than this.
        retries: How often a timing that is unstable is tried again, each time for twice as long.
        minutes: All timing together takes at most about this long; nothing sets no limit.
        time_limit_s: A variant that takes longer than this to be loaded, to be timed once, or for
            anything else that is asked of it, is stopped and marked as failed.
        pin_threads: Whether each thread of ONNX Runtime is bound to a processor of its own.
        offline: Details of the scenario.
        server: Details of the scenario.
        concurrent: Details of the scenario.
        memory: How memory is measured.
        profile: Whether it is measured where the time goes: operators, and which device ran them.
        io_binding: Whether single stream is also timed with inputs and outputs bound on the device,
            without copies between host and device; null does so on a GPU.
        quality: How the quality is judged.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["builtin"] = "builtin"
    batch_sizes: tuple[int, ...] = (1, 32)
    scenarios: tuple[Scenario, ...] = ("single_stream",)
    split: str = "test"
    examples: int | None = None
    min_time_s: float = 0.5
    min_count: int = 20
    max_time_s: float = 10.0
    blocks: int = 10
    warmup_time_s: float = 0.1
    warmup_limit_s: float = 2.0
    retries: int = 1
    minutes: float | None = None
    time_limit_s: float = 600.0
    pin_threads: bool = False
    offline: OfflineOptions = field(default_factory=OfflineOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    concurrent: ConcurrentOptions = field(default_factory=ConcurrentOptions)
    memory: MemoryOptions = field(default_factory=MemoryOptions)
    profile: bool = True
    io_binding: bool | None = None
    quality: QualityOptions = field(default_factory=QualityOptions)

    def __post_init__(self) -> None:
        self._check_batch_sizes()
        self._check_scenarios()
        require(self.examples is None or self.examples > 0, "examples", self.examples, "above 0")
        require(self.min_count > 0, "min_count", self.min_count, "above 0")
        require(self.blocks > 0, "blocks", self.blocks, "1 or more rounds")
        require(self.retries >= 0, "retries", self.retries, "0 or more")
        require(self.minutes is None or self.minutes > 0, "minutes", self.minutes, "above 0")
        for name in ("min_time_s", "warmup_time_s", "warmup_limit_s"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more seconds")
        require(self.max_time_s > 0, "max_time_s", self.max_time_s, "above 0 seconds")
        require(self.time_limit_s > 0, "time_limit_s", self.time_limit_s, "above 0 seconds")

    def _check_batch_sizes(self) -> None:
        sizes = self.batch_sizes
        require(
            all(isinstance(size, int) and not isinstance(size, bool) for size in sizes),
            "batch_sizes",
            sizes,
            "whole numbers, such as [1, 32]",
        )
        require(
            len(sizes) > 0 and min(sizes, default=0) > 0,
            "batch_sizes",
            sizes,
            "one or more whole numbers above 0, such as [1, 32]",
        )
        require(len(set(sizes)) == len(sizes), "batch_sizes", sizes, "each number once")

    def _check_scenarios(self) -> None:
        known = get_args(Scenario)
        asked = self.scenarios
        require(
            len(asked) > 0 and set(asked) <= set(known) and len(set(asked)) == len(asked),
            "scenarios",
            asked,
            f"one or more of {', '.join(known)}, each once",
        )

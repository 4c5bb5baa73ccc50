"""Concurrency: several streams at a time on one device, on one session or on a session each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.engine.guarded import free_memory_mb
from mlflow_tfconv.runtimes.runtime import Runtime, open_runtime
from mlflow_tfconv.steps.benchmark.examples import Batch
from mlflow_tfconv.steps.benchmark.scenario_options import ConcurrentOptions
from mlflow_tfconv.steps.benchmark.worker.host_memory import host_memory
from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch
from mlflow_tfconv.steps.benchmark.worker.out_of_memory import is_out_of_memory
from mlflow_tfconv.steps.benchmark.worker.pinning import (
    AFFINITIES,
    Pinning,
    thread_placement,
    used_processors,
)
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import (
    batches_of_size,
    calls_of,
    size_for,
)
from mlflow_tfconv.steps.benchmark.worker.streams import streamed

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_OF_WHAT_IS_FREE = 0.8
_WARM_RUNS = 2
_OF_THE_LIMIT = 0.25  # for one combination, if its fewest calls take longer
_FEWEST_FOR_P99 = 100
_OVER = "concurrent.time_limit_s, which `minutes` may shorten, was over"


def concurrent(opened: OpenedModel, **arguments: Any) -> dict[str, Any]:
    """Times each number of streams, on one session and on their own.

    Args:
        opened: The model.
        **arguments: Fields of ConcurrentOptions.

    Returns:
        `rows`: of each combination its `count`, `sharing`, `samples_per_s`, `p50_ms`, `p99_ms`
        (None below 100 calls), `streams` (the same of each), `threads` (how many the process had
        and where they were tied), `conditions` and `file`; `batch_size`; `left_out`: what was not timed, and why.
    """
    return _Comparison(opened, ConcurrentOptions(**arguments)).run()


class _Comparison:
    """Combinations of a number of streams and a way to share the device."""

    def __init__(self, opened: OpenedModel, options: ConcurrentOptions) -> None:
        self._opened, self._options = opened, options
        self._size = size_for(opened, options.batch_size)
        self._batches = batches_of_size(opened, self._size)
        self._rows: list[dict[str, Any]] = []
        self._left_out: list[str] = []

    def run(self) -> dict[str, Any]:
        """All combinations, while there is time."""
        started = time.perf_counter()
        for sharing in self._options.sharing:
            for count in sorted(self._options.counts):
                if time.perf_counter() - started > self._options.time_limit_s and self._rows:
                    self._left_out.append(f"x{count} {sharing}: {_OVER}")
                elif sharing == "one_session":
                    self._rows.append(self._timed(count, sharing, [self._opened.runtime] * count))
                elif count == 1 and not self._differs() and self._rows:
                    continue  # one stream on its own session: timed already
                else:
                    self._time_own_sessions(count)
        return {"rows": self._rows, "batch_size": self._size, "left_out": self._left_out}

    def _differs(self) -> bool:
        """Whether own sessions are opened in another way than the model's first one."""
        threads = self._options.intra_op_threads
        return self._opened.job.format == "onnx" and threads is not None

    def _time_own_sessions(self, count: int) -> None:
        try:
            with self._own_sessions(count) as sessions:
                self._rows.append(self._timed(count, "own_sessions", sessions))
        except Exception as error:
            if not self._rows:
                raise
            why = "not enough memory: " if is_out_of_memory(error) else ""
            words = " ".join(f"{type(error).__name__}: {error}".split())
            self._left_out.append(f"x{count} own_sessions: {why}{words[:300]}")

    @contextmanager
    def _own_sessions(self, count: int) -> Iterator[list[Runtime]]:
        """So many loaded models; the one that is open already is the first of them if it fits.

        Raises:
            MemoryError: There is not enough room for all.
        """
        with ExitStack() as stack:
            sessions = [] if self._differs() else [self._opened.runtime]
            while len(sessions) < count:
                before = host_memory()
                sessions.append(stack.enter_context(self._opened_again(len(sessions))))
                after = host_memory()
                missing = count - len(sessions)
                if before is not None and after is not None and missing:
                    _require_room(missing, (after.resident - before.resident) / 1e6)
            yield sessions

    def _opened_again(self, number: int) -> Runtime:
        job = self._opened.job
        options = self._options_of(number) if job.format == "onnx" else {}
        return open_runtime(
            Path(job.model),
            job.format,
            device=self._opened.device,
            session_options=options or None,
        )

    def _options_of(self, number: int) -> dict[str, Any]:
        """The options of one of the own sessions; pinned ones lie side by side on the processors."""
        options, threads = dict(self._opened.job.session_options), self._options.intra_op_threads
        if threads is not None:
            options.pop(AFFINITIES, None)  # they name another number of threads
            options["intra_op_num_threads"] = threads
        if self._opened.job.pin_threads:
            return Pinning(processors=self._processors(number)).session_options(options)
        return options

    def _processors(self, number: int) -> tuple[int, ...]:
        """The processors of one of the own sessions, its caller's first."""
        all_of_them = used_processors()
        asked = self._options.intra_op_threads or self._opened.device.options.intra_op_threads
        threads = asked or len(all_of_them)
        first = number * threads
        return tuple(all_of_them[(first + n) % len(all_of_them)] for n in range(threads))

    def _timed(self, count: int, sharing: str, sessions: list[Runtime]) -> dict[str, Any]:
        streams = [
            calls_of(session, _turned(self._batches, n)) for n, session in enumerate(sessions)
        ]
        for calls in {id(s): c for s, c in zip(sessions, streams, strict=True)}.values():
            for _ in range(_WARM_RUNS):
                calls[0]()
        watch = MachineWatch()
        own = sharing == "own_sessions" and self._opened.job.pin_threads
        found = streamed(
            streams,
            min_time_s=self._options.min_time_s,
            min_count=self._options.min_count,
            limit_s=self._options.time_limit_s * _OF_THE_LIMIT,
            processors=[self._processors(number)[:1] for number in range(count)] if own else (),
        )
        file = f"concurrent_x{count}_{sharing}.npy"
        np.save(self._opened.folder / file, found.times_ns)
        return {
            "count": count,
            "sharing": sharing,
            "samples_per_s": found.calls_per_s * self._size,
            **_latency(found.latencies_ns),
            "streams": [_latency(found.of(number)) for number in range(count)],
            "conditions": watch.so_far(),
            "threads": thread_placement(pinned=self._opened.job.pin_threads),
            "file": file,
        }


def _turned(batches: list[Batch], number: int) -> list[Batch]:
    """Each stream begins with another batch."""
    start = number % len(batches)
    return [*batches[start:], *batches[:start]]


def _require_room(missing: int, of_each_mb: float) -> None:
    free = free_memory_mb()
    if missing * of_each_mb > _OF_WHAT_IS_FREE * free:
        raise MemoryError(
            f"{missing} more sessions of about {of_each_mb:,.0f} MB do not fit into the "
            f"{free:,.0f} MB that are free"
        )


def _latency(samples_ns: Any) -> dict[str, Any]:
    enough = len(samples_ns) >= _FEWEST_FOR_P99
    return {
        "calls": len(samples_ns),
        "p50_ms": float(np.median(samples_ns)) / 1e6,
        "p99_ms": float(np.percentile(samples_ns, 99)) / 1e6 if enough else None,
    }

"""What a profiler has recorded: the calls of operators within the runs of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One execution of a node of the graph.

    Attributes:
        node: Its name, as the runtime has it after its own optimizations.
        operator: The type of operation, such as "Conv".
        place: What computes it: an execution provider, or TensorFlow's name of a device.
        thread: The thread, or the stream of a GPU, as a number of the profiler's own.
        start_us: When it began, microseconds on the profiler's clock.
        duration_us: How long it took, with all that runs inside of it.
        shapes: Its inputs in words, such as "float[1,3,8,8]"; empty where nobody tells.
    """

    node: str
    operator: str
    place: str
    thread: int
    start_us: float
    duration_us: float
    shapes: str = ""

    @property
    def end_us(self) -> float:
        """When it ended."""
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One inference.

    Attributes:
        thread: Where it was asked for.
        start_us: When it began.
        duration_us: How long it took, with the profiler's own work.
        calls: The calls in it, in the order of their beginning.
    """

    thread: int
    start_us: float
    duration_us: float
    calls: tuple[Call, ...] = ()

    @property
    def end_us(self) -> float:
        """When it ended."""
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a profiler has recorded.

    Attributes:
        runs: The complete inferences, in their order.
        load_us: Time to read the file; None where the profiler does not tell.
        initialization_us: Time to optimize the graph and to prepare the kernels; None as above.
        thread_names: Number of a thread to its name, of those that have one.
        notes: What a reader should know.
    """

    runs: tuple[Run, ...]
    load_us: float | None = None
    initialization_us: float | None = None
    thread_names: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnTime:
    """A call and what of its time is its own.

    Attributes:
        call: The call.
        own_us: Its duration without the calls inside of it: the body of a Loop is not counted twice.
        outermost: Name of the node that it runs inside of at the top of the graph; its own at the top.
        inside: Number of calls right inside of it.
    """

    call: Call
    own_us: float
    outermost: str
    inside: int


def own_times(calls: Iterable[Call]) -> list[OwnTime]:
    """The calls with their own times, in the order of threads and of their beginning.

    A call that begins while another one of the same thread goes on runs inside of it: subgraphs of
    Loop, If and Scan are executed by the thread that executes these.
    """
    ordered = in_order(calls)
    own = [call.duration_us for call in ordered]
    outermost = [call.node for call in ordered]
    inside = [0] * len(ordered)
    around: list[int] = []
    for number, call in enumerate(ordered):
        while around and not _holds(ordered[around[-1]], call):
            around.pop()
        if around:
            parent = around[-1]
            taken = min(call.duration_us, ordered[parent].end_us - call.start_us)
            own[parent] = max(own[parent] - taken, 0.0)
            inside[parent] += 1
            outermost[number] = outermost[parent]
        around.append(number)
    return [OwnTime(*found) for found in zip(ordered, own, outermost, inside, strict=True)]


def in_order(calls: Iterable[Call]) -> list[Call]:
    """By thread and beginning, what runs inside of a call behind it.

    Of two that begin in the same tick of the clock, one that took no time ended before the other.
    """
    return sorted(calls, key=lambda c: (c.thread, c.start_us, c.duration_us > 0, -c.duration_us))


def busy_us(calls: Sequence[Call]) -> float:
    """The time in which at least one of the calls goes on, on whichever thread."""
    busy, end = 0.0, float("-inf")
    for call in sorted(calls, key=lambda call: call.start_us):
        busy += max(call.end_us - max(call.start_us, end), 0.0)
        end = max(end, call.end_us)
    return busy


def _holds(outer: Call, inner: Call) -> bool:
    return outer.thread == inner.thread and inner.start_us < outer.end_us

"""The largest set of values that are alive at a time, when operations run one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a graph.

    Attributes:
        name: Its name and kind, for people.
        reads: The values it takes,
        writes: and gives.
        views: Whether what it gives is what it takes, one by one, seen in another shape.
        overwrites: Whether the first value it gives may take the place of a value of the same size
            that nobody needs after it.
        inner_bytes: What it holds for itself while it runs: the values of a loop's body.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    views: bool = False
    overwrites: bool = False
    inner_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSet:
    """The largest set of values that are alive at a time.

    Attributes:
        size_bytes: Of all of them together.
        at: The operation that runs then.
        unsized: Values whose size is not known: they count as nothing.
        requests: What was asked of the allocator, in order: the value whose memory it is, and its
            bytes; the same again where it is given back.
    """

    size_bytes: int
    at: str
    unsized: tuple[str, ...] = ()
    requests: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class _Buffers:
    """Which values share memory, and who still needs it."""

    sizes: Mapping[str, int | None]
    needs: dict[str, int] = field(default_factory=dict)
    place_of: dict[str, str] = field(default_factory=dict)
    alive: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)

    def add(self, value: str, place: str | None = None) -> None:
        """A value appears, in memory of its own or in the place of another."""
        place = self.place_of[place] if place is not None else value
        self.place_of[value] = place
        if place == value:
            self.alive[value] = self.sizes.get(value) or 0
            self.requests.append((value, self.alive[value]))

    def freed(self, value: str, count: int = 1) -> None:
        """One reader fewer: without any in its place the memory is given back."""
        place = self.place_of.get(value)
        if place is None:
            return
        self.needs[place] = self.needs.get(place, 0) - count
        if self.needs[place] <= 0 and place in self.alive:
            self.requests.append((place, self.alive.pop(place)))

    def total(self) -> int:
        return sum(self.alive.values())


def largest_live_set(
    operations: Sequence[Operation],
    sizes: Mapping[str, int | None],
    *,
    given: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> LiveSet:
    """Follows the operations in their order.

    A value lives from the operation that writes it to the last that reads it. A view shares its
    source's memory, and an operation that may overwrite does so where it is the last reader, as
    ONNX Runtime's planner and TensorFlow's forwarding of buffers do.

    Args:
        operations: In the order in which they run.
        sizes: Value to its bytes; None where they are not known. What is neither here nor in
            `given`, such as weights, counts as nothing.
        given: Values that are there all the time: the inputs.
        kept: Values that are there after the last: the outputs.
    """
    buffers, held = _Buffers(sizes), {*kept, *given}
    readers: dict[str, int] = {}
    for operation in operations:
        for value in operation.reads:
            readers[value] = readers.get(value, 0) + 1
    for value in set(kept):
        readers[value] = readers.get(value, 0) + 1
    for value in given:
        buffers.add(value)
        buffers.needs[value] = readers.get(value, 0) + 1  # the caller keeps them
    largest, at = buffers.total(), "the inputs"
    for operation in operations:
        _run(operation, buffers, readers, held)
        now = buffers.total() + operation.inner_bytes
        if now > largest:
            largest, at = now, operation.name
        for value in operation.reads:
            buffers.freed(value)
        for value in operation.writes:
            if not readers.get(value):
                buffers.freed(value, 0)
    unsized = tuple(v for v, size in sizes.items() if size is None)
    return LiveSet(size_bytes=largest, at=at, unsized=unsized, requests=tuple(buffers.requests))


def _run(
    operation: Operation, buffers: _Buffers, readers: Mapping[str, int], held: set[str]
) -> None:
    for number, value in enumerate(operation.writes):
        if operation.views and _of_weights(operation, number, buffers):
            continue
        place = _shared_place(operation, number, buffers, held)
        buffers.add(value, place)
        target = buffers.place_of[value]
        buffers.needs[target] = buffers.needs.get(target, 0) + readers.get(value, 0)


def _of_weights(operation: Operation, number: int, buffers: _Buffers) -> bool:
    """Whether a result is a view of what counts as nothing."""
    return number < len(operation.reads) and operation.reads[number] not in buffers.place_of


def _shared_place(
    operation: Operation, number: int, buffers: _Buffers, held: set[str]
) -> str | None:
    """The value whose memory a result takes; None for memory of its own."""
    if operation.views:
        return operation.reads[number] if number < len(operation.reads) else None
    value = operation.writes[number]
    if number > 0:
        return None
    if not operation.overwrites or value in held:  # outputs get memory of their own
        return None
    size = buffers.sizes.get(value)
    for source in operation.reads:
        place = buffers.place_of.get(source)
        if place is None or place in held or size is None:
            continue
        last = buffers.needs.get(place, 0) <= operation.reads.count(source)
        if last and buffers.alive.get(place) == size:
            return source
    return None

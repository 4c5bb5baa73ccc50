"""What the stages of a benchmark found, as tables for people; each reads the details of its stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mlflow_tfconv.steps.benchmark.report.grids import Grid, between, flat, grid, percent

Details = Mapping[str, Any]
_MB = 1e6
_MOST_ROWS = 20
_TOLD_SHARE = 0.01


def stage_details(details: Details, name: str) -> Details:
    """What is known of a stage; empty when it was not asked."""
    stages = details.get("stages")
    found = stages.get(name) if isinstance(stages, Mapping) else None
    found = found or details.get(name)
    return found if isinstance(found, Mapping) else {}


def stage_grids(details: Details) -> Iterator[Grid]:
    """All tables that have something to show, the most telling first."""
    for name, tables in _TABLES:
        found = stage_details(details, name)
        if found:
            yield from (table for table in tables(found) if table.rows)
    yield from (table for table in _gpu(details) if table.rows)


def _operators(profile: Details) -> Iterator[Grid]:
    placed = len({row.get("place") for row in profile.get("operators") or ()}) > 1
    headings = ("operator", "nodes", "ms a run", "share", *(("where",) if placed else ()))
    rows = [
        [
            row.get("operator"),
            row.get("nodes"),
            row.get("ms"),
            percent(row.get("share")),
            *([row.get("place")] if placed else []),
        ]
        for row in profile.get("operators") or ()
    ]
    yield grid("Where the time goes", headings, rows, _profile_note(profile))
    nodes = [
        [row.get("node"), row.get("operator"), row.get("ms"), percent(row.get("share"))]
        for row in profile.get("nodes") or ()
    ]
    yield grid("Nodes that take the most time", ("node", "operator", "ms a run", "share"), nodes)


def _profile_note(profile: Details) -> str:
    size, outside = profile.get("batch_size"), profile.get("outside_share") or 0.0
    said = [f"Profiled at batch {size}, apart from the timing." if size else ""]
    if outside >= _TOLD_SHARE:
        said.append(f"{percent(outside)} of a run is spent outside of operators.")
    return " ".join(filter(None, said))


def _slower_layers(found: Details) -> Iterator[Grid]:
    rows = [
        [
            layer.get("name"),
            layer.get("reference_ms"),
            layer.get("ms"),
            ", ".join(layer.get("reference_operators") or ()),
            ", ".join(layer.get("operators") or ()),
        ]
        for layer in found.get("slower") or ()
    ]
    reference = found.get("reference") or "the reference"
    headings = ("layer", "ms before", "ms now", "was", "is")
    yield grid(f"Layers that became slower than in {reference}", headings, rows[:_MOST_ROWS])


def _placement(profile: Details) -> Iterator[Grid]:
    """Where it ran, when that is more than one place."""
    found = profile.get("placement") or {}
    places, copies = found.get("places") or (), found.get("copies") or {}
    rows = [
        [
            row.get("place"),
            row.get("nodes"),
            percent(row.get("node_share")),
            row.get("ms"),
            percent(row.get("time_share")),
        ]
        for row in (places if len(places) > 1 else ())
    ]
    note = f"{copies['nodes']} copies between devices in a run." if copies.get("nodes") else ""
    headings = ("place", "nodes", "of the nodes", "ms a run", "of the time")
    yield grid("Which device ran it", headings, rows, note)


def _bound(found: Details) -> Iterator[Grid]:
    rows = [
        [name.removeprefix("latency/"), ms] for name, ms in (found.get("percentiles") or {}).items()
    ]
    title = "Latency with inputs and outputs left on the device"
    yield grid(title, ("percentile", "ms"), rows)


def _energy(found: Details) -> Iterator[Grid]:
    rows = [[row.get("batch_size"), row.get("j_per_1000")] for row in found.get("sizes") or ()]
    yield grid("Energy", ("batch", "J for 1,000 examples"), rows)


def _gpu(details: Details) -> Iterator[Grid]:
    """Its state before and after the timing, side by side."""
    before, after = (flat(stage_details(details, name)) for name in ("gpu_before", "gpu_after"))
    rows = [[name, before.get(name), after.get(name)] for name in {**before, **after}]
    yield grid("The GPU", ("", "before", "after"), rows)


def _offline(found: Details) -> Iterator[Grid]:
    rows = [
        [
            row.get("batch_size"),
            row.get("samples_per_s"),
            row.get("p50_ms"),
            percent(row.get("gain"), signed=True),
        ]
        for row in found.get("sizes") or ()
    ]
    best, ended = found.get("best_batch"), found.get("ended")
    note = f"Best: batch {best}. The sweep ended: {ended}." if best else ""
    yield grid("Offline: batch after batch", ("batch", "samples/s", "p50 ms", "gain"), rows, note)


def _server(found: Details) -> Iterator[Grid]:
    bound, quantile = found.get("bound_ms"), found.get("quantile")
    rows = [
        [
            row.get("rate_per_s"),
            row.get("queries"),
            row.get("p50_ms"),
            row.get("p99_ms"),
            row.get("late"),
            "yes" if row.get("held") else "no",
        ]
        for row in sorted(found.get("trials") or (), key=lambda row: row.get("rate_per_s") or 0)
    ]
    note = f"Bound: {bound:.4g} ms for {percent(quantile)} of the queries." if bound else ""
    headings = ("queries/s", "queries", "p50 ms", "p99 ms", "late", "keeps the bound")
    yield grid("Server: queries at random times", headings, rows, note)


def _concurrent(found: Details) -> Iterator[Grid]:
    rows = [
        [
            row.get("count"),
            str(row.get("sharing", "")).replace("_", " "),
            row.get("samples_per_s"),
            row.get("p50_ms"),
            row.get("p99_ms"),
        ]
        for row in found.get("rows") or ()
    ]
    headings = ("streams", "on", "samples/s", "p50 ms", "p99 ms")
    yield grid("Concurrent: several streams at once", headings, rows)


def _memory(found: Details) -> Iterator[Grid]:
    limit, gpu = found.get("gpu_limit_bytes"), found.get("gpu") or {}
    used = gpu.get("peak_bytes") or gpu.get("in_use_peak_bytes")
    allowed = [["GPU memory", _mb(limit), _mb(used)]] if limit and used else []
    given = [[x["what"], x["allowed_mb"], x["used_mb"]] for x in found.get("limits") or ()]
    yield grid("Memory: allowed and used", ("what", "allowed MB", "used MB"), [*allowed, *given])
    phases = [
        [
            row.get("name"),
            _mb(row.get("host_peak_bytes")),
            _mb(row.get("host_resident_bytes")),
            _mb(row.get("gpu_peak_bytes")),
        ]
        for row in found.get("phases") or ()
    ]
    method = found.get("method")
    ways = method.items() if isinstance(method, Mapping) else [("memory", method)] if method else ()
    note = ", ".join(f"{what}: {how}" for what, how in ways)
    headings = ("phase", "host peak MB", "host at its end MB", "GPU peak MB")
    yield grid("Memory by phase", headings, phases, f"Measured by {note}." if note else "")


def _estimate(found: Details) -> Iterator[Grid]:
    peaks, live = found.get("peak_mb") or {}, found.get("activations") or {}
    rows = [
        [
            size,
            peak,
            _mb((live.get(size) or {}).get("size_bytes")),
            (live.get(size) or {}).get("at"),
        ]
        for size, peak in peaks.items()
    ]
    headings = ("batch", "whole MB", "activations MB", "most at")
    note = str(found.get("method") or "")
    yield grid("Memory, told from the shapes", headings, rows, note.capitalize())


def _per_class(found: Details) -> Iterator[Grid]:
    rows = [
        [
            name,
            row.get("count"),
            row.get("accuracy"),
            between(row.get("low"), row.get("high")),
            row.get("drop"),
            between(row.get("drop_low"), row.get("drop_high")),
        ]
        for name, row in (found.get("per_class") or {}).items()
    ]
    headings = ("class", "examples", "accuracy", "95 % interval", "drop", "95 % interval of it")
    yield grid("Each class", headings, rows)


def _mb(size: float | None) -> float | None:
    return None if size is None else size / _MB


#: Stage and how its details are shown.
_TABLES: Sequence[tuple[str, Callable[[Details], Iterator[Grid]]]] = (
    ("profile", _operators),
    ("layers", _slower_layers),
    ("profile", _placement),
    ("bound", _bound),
    ("energy", _energy),
    ("offline", _offline),
    ("server", _server),
    ("concurrent", _concurrent),
    ("memory", _memory),
    ("memory_estimate", _estimate),
    ("quality", _per_class),
)

"""Where time goes, as tables for people: of one variant, and of all side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.cards import Table

_SIDE_BY_SIDE = 3
_MOST_LAYERS = 10


def profile_tables(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operators and nodes of a variant that take the most time, and its slower layers.

    Args:
        details: What `report.json` tells of a variant; without "profile" there are no tables.

    Returns:
        One `{title, columns, rows, note}` for each.
    """
    profile = details.get("profile")
    if not isinstance(profile, Mapping) or not profile.get("operators"):
        return []
    tables = [_operators(profile), _nodes(profile)]
    return [*tables, *_slower(profile.get("layers"))]


def profiles_side_by_side(reports: Reports) -> Table | None:
    """A row for each variant that was profiled; None when none was."""
    variants = reports.environment.get("variants") or {}
    profiles = {
        row.run_name: profile
        for row in reports.rows
        if (profile := (variants.get(row.run_name) or {}).get("profile"))
    }
    if not profiles:
        return None
    return Table(
        columns=("variant", "most of the time", "converting", "framework", "slower layers"),
        rows=tuple((name, *_cells(profile)) for name, profile in profiles.items()),
        caption="Where the time of a run goes. Converting is changing types, layouts and places of "
        "tensors (Quantize, Dequantize, Cast, Transpose, ...); framework is what no operator "
        "explains; slower layers are those that take longer than in the first model of the format.",
    )


def _cells(profile: Mapping[str, Any]) -> tuple[str, str, str, str]:
    most = ", ".join(
        f"{row['operator']} {row['share']:.0%}" for row in profile["operators"][:_SIDE_BY_SIDE]
    )
    layers = profile.get("layers") or {}
    slower = layers.get("slower") or ()
    grown = f"{len(slower)} (+{layers['slower_ms']:.3g} ms)" if slower else "0" if layers else ""
    converting = profile["conversions"]["share"]
    return most, f"{converting:.0%}", f"{profile['outside_share']:.0%}", grown


def _operators(profile: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [row["operator"], row["place"], row["nodes"], row["ms"], _percent(row["share"])]
        for row in profile["operators"]
    ]
    rows.append(
        [
            "outside of operators",
            "",
            None,
            profile["outside_ms"],
            _percent(profile["outside_share"]),
        ]
    )
    return {
        "title": "Where time goes: operators",
        "columns": ("operator", "on", "nodes", "ms a run", "share %"),
        "rows": rows,
        "note": f"Medians of {profile['runs']} runs with batch {profile['batch_size']}; a run takes "
        f"{_short(profile['plain_ms'])} ms, with the profiler {_short(profile['run_ms'])} ms. "
        f"{profile['trace']} opens in ui.perfetto.dev and chrome://tracing.",
    }


def _nodes(profile: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [row["node"], row["operator"], row["calls"], row["ms"], _percent(row["share"])]
        for row in profile["nodes"]
    ]
    return {
        "title": "Where time goes: nodes",
        "columns": ("node", "operator", "calls", "ms a run", "share %"),
        "rows": rows,
        "note": f"The first {len(rows)} of {profile['node_count']}.",
    }


def _slower(layers: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not layers or not layers["slower"]:
        return []
    rows = [
        [
            layer["name"],
            _joined(layer["reference_operators"]),
            layer["reference_ms"],
            _joined(layer["operators"]),
            layer["ms"],
        ]
        for layer in layers["slower"][:_MOST_LAYERS]
    ]
    return [
        {
            "title": "Slower layers",
            "columns": ("layer", f"in {layers['reference']}", "ms", "here", "ms"),
            "rows": rows,
            "note": f"{len(layers['slower'])} of {layers['layers']} layers take "
            f"{_short(layers['slower_ms'])} ms more together; the others gain "
            f"{_short(layers['faster_ms'])} ms.",
        }
    ]


def _joined(operators: Sequence[str]) -> str:
    return " + ".join(operators) or "nothing"


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:,.3g}"

"""What the parent run says about itself in the UI: Markdown, short enough for a tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlflow_tfconv.tracking.registry import RegisteredVersion

_QUALITIES = 2
_COLUMNS = ("latency/p50_ms", "throughput/samples_per_s", "footprint/size_mb")
_ROWS = 30
_VARIANTS, _TRIALS = "[Compare the variants](", "[Compare the trials]("


def is_ours(text: str) -> bool:
    """Whether a description was written here, and not by a person."""
    return text.startswith((_VARIANTS, _TRIALS))


def description(
    link: str,
    variants: Mapping[str, Mapping[str, float]] | None = None,
    registered: RegisteredVersion | None = None,
    *,
    trials: str | None = None,
) -> str:
    """The description of a parent run.

    Args:
        link: Opens the comparison of variants; left out where there are trials alone.
        variants: Run name to metrics; the table is left out when nothing was measured.
        registered: The model version that came out of the run, or None.
        trials: Opens the comparison of a search's trials; None without a search.
    """
    parts = [] if trials is not None and not variants else [f"{_VARIANTS}{link})"]
    if trials is not None:
        parts.append(f"{_TRIALS}{trials})")
    if registered is not None:
        parts.append(
            f"Registered **{registered.run_name}** as {registered.name} version "
            f"{registered.version}, alias {registered.alias}."
        )
    measured = {name: found for name, found in (variants or {}).items() if _COLUMNS[0] in found}
    if measured:
        parts.append("\n".join(_table(measured)))
    return "\n\n".join(parts)


def _table(variants: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    """Lines of a Markdown table, the base first."""
    names = {name for metrics in variants.values() for name in metrics}
    quality = sorted(n for n in names if n.startswith("quality/") and not n.endswith("_drop"))
    columns = [*quality[:_QUALITIES], *(name for name in _COLUMNS if name in names)]
    yield f"| variant | {' | '.join(name.partition('/')[2] for name in columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    rows = sorted(variants.items(), key=lambda row: (not row[0].startswith("base/"), row[0]))
    for run_name, metrics in rows[:_ROWS]:
        cells = (f"{metrics[name]:.4g}" if name in metrics else "" for name in columns)
        yield f"| {run_name} | {' | '.join(cells)} |"

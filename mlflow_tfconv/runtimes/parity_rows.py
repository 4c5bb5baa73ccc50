"""The verdicts on a conversion as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlflow_tfconv.artifacts import OutputParity, ParityReport

#: What the cells of `parity_rows` are.
COLUMNS = (
    "format",
    "output",
    "max abs error",
    "max rel error",
    "cosine",
    "same argmax",
    "NaN, inf",
    "allowed",
    "examples",
    "verdict",
)


def parity_rows(
    reports: Mapping[str, ParityReport], titles: Mapping[str, str] | None = None
) -> tuple[tuple[str, ...], ...]:
    """One row for each output of each format; of a format that can't be compared one row.

    Args:
        reports: Format to its verdict.
        titles: Format to its name for people.
    """
    titles = titles or {}
    return tuple(
        row for name, report in reports.items() for row in _rows(titles.get(name, name), report)
    )


def not_finite_warnings(reports: Mapping[str, ParityReport]) -> tuple[str, ...]:
    """What a user should know of a source that passed with NaN or infinite outputs."""
    found: dict[str, int] = {}
    for report in reports.values():
        for name, output in report.outputs.items():
            found[name] = max(found.get(name, 0), output.not_finite)
    return tuple(
        f"The source itself gives NaN or infinite values for the examples: {count:,} in its output "
        f"{name!r}. So do the exports."
        for name, count in found.items()
        if count
    )


def _rows(title: str, report: ParityReport) -> Iterator[tuple[str, ...]]:
    common = (report.allowed, f"{report.examples:,}")
    if not report.outputs:
        empty = ("",) * (len(COLUMNS) - 4)
        yield (title, *empty, *common, f"disagrees: {report.problem}")
    for name, output in report.outputs.items():
        yield (title, name, *_cells(output), *common, _verdict(name, report))


def _cells(output: OutputParity) -> tuple[str, ...]:
    return (
        f"{output.max_abs_error:.3g}",
        f"{output.max_rel_error:.3g}",
        "" if output.cosine is None else f"{output.cosine:.6f}",
        "" if output.argmax_agreement is None else f"{output.argmax_agreement:.2%}",
        f"{output.not_finite:,}" if output.not_finite else "none",
    )


def _verdict(name: str, report: ParityReport) -> str:
    """The words for one output: its own difference, or what is wrong with the comparison."""
    if report.passed:
        return "agrees"
    whole = report.problem is not None and repr(name) in report.problem
    if not whole and not report.outputs[name].exceeded:
        return "agrees" if "output" in str(report.problem) else f"disagrees: {report.problem}"
    if not whole:
        return f"disagrees: {report.outputs[name].exceeded:,} values beyond what is allowed"
    first = f"; first at {report.first_divergence}" if report.first_divergence else ""
    return f"disagrees: {report.problem}{first}"

"""Converts a model in guarded processes, and puts the result in place when all of it is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mlflow_tfconv.artifacts import ConvertedModel, Parity, ParityReport
from mlflow_tfconv.engine.events import Emit, ignore
from mlflow_tfconv.errors import ConversionError, ParityError
from mlflow_tfconv.runtimes.parity_rows import not_finite_warnings
from mlflow_tfconv.steps.convert.phases import DONE, phases_of, progress
from mlflow_tfconv.steps.convert.request import Given, Request, pickled
from mlflow_tfconv.steps.convert.samples import stored_samples
from mlflow_tfconv.steps.convert.workplace import FILES, KERAS_FILE, LIVE_MODEL, Workplace
from mlflow_tfconv.steps.convert.written import Written


class Caller(Protocol):
    """Calls functions in processes of their own: a `Guard`."""

    def call(self, target: str, argument: bytes, *, scratch: Path | None = None) -> Any:
        """What `module:function` gives for a pickled argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What is converted, and with what surroundings.

    Attributes:
        request: What is asked for.
        caller: Who runs what has to run in a process of its own.
        model: A live `keras.Model`, or None to read the request's source.
        samples: What a caller gave to compare on, or None for the request's own.
        emit: Takes progress.
    """

    request: Request
    caller: Caller
    model: Any = None
    samples: Any = None
    emit: Emit = ignore

    def into(self, output: Path) -> tuple[ConvertedModel, Written]:
        """Converts; the files are put into `output` when all of them agree with the source.

        Raises:
            ConversionError: The source can't be read, or not be written in a format.
            ParityError: An export disagrees with the source; `output` is as it was.
        """
        with Workplace(output) as place:
            request = replace(self.request, work=place.root)
            prepare = self._live if self.model is not None else self._stored
            request, written = prepare(request)
            reports = self._reports(request, written, output)
            place.put_in_place()
        self.emit(progress(DONE, phases_of(self.request.config.formats)))
        return self._converted(output, written, reports), written

    def _stored(self, request: Request) -> tuple[Request, Written]:
        """The exports of a source on disk, and what they were made with."""
        if self.samples is not None:
            samples = stored_samples(self.samples, request.work / "samples")
            request = replace(request, samples=samples)
        return request, Written(**self._call("begin:write_exports", request))

    def _live(self, request: Request) -> tuple[Request, Written]:
        """The same of a model that lives in this process."""
        from mlflow_tfconv.steps.convert.live_source import live_source

        live = live_source(self.model, request, self.samples, self.emit)
        rest = Written(**self._call("worker:write_rest", live.request))
        return live.request, replace(
            live.written,
            saved_model=rest.saved_model,
            onnx_inputs=rest.onnx_inputs,
            onnx_outputs=rest.onnx_outputs,
            choices=(*live.written.choices, *rest.choices),
            warnings=(*live.written.warnings, *rest.warnings),
        )

    def _call(self, function: str, request: Request) -> Any:
        scratch = request.work / "scratch"
        scratch.mkdir(exist_ok=True)
        target = f"mlflow_tfconv.steps.convert.{function}"
        return self.caller.call(target, pickled(request), scratch=scratch)

    def _reports(self, request: Request, written: Written, output: Path) -> dict[str, ParityReport]:
        """A verdict for each format.

        Raises:
            ParityError: One is not good.
        """
        reports: dict[str, ParityReport] = {}
        for name in self.request.config.formats:
            report = written.saved_model
            if name == "onnx":
                light = replace(request, given=Given(tolerance=request.given.tolerance))
                report = self._call("verdict:onnx_verdict", light)
            if report is None:
                continue
            reports[name] = replace(
                report,
                reference=self.request.source,
                candidate=output / FILES[name],
                samples=written.samples,
            )
            if not report.passed:
                found = self._with_divergence(name, reports[name], request)
                raise disagreement(name, found, written.warnings)
        return reports

    def _with_divergence(self, name: str, report: ParityReport, request: Request) -> ParityReport:
        """The report with where the export begins to differ, if that can be told."""
        if not _differs(report):
            return report
        try:
            first = self._call("worker:diverging", replace(request, export=name))
        except ConversionError:  # the verdict stands without it
            return report
        return replace(report, first_divergence=first)

    def _converted(
        self, output: Path, written: Written, reports: Mapping[str, ParityReport]
    ) -> ConvertedModel:
        paths = {name: output / FILES[name] for name in self.request.config.formats}
        source = output / LIVE_MODEL if self.model is not None else self.request.source
        keras = output / KERAS_FILE if written.keras else None
        if keras is None and (self.model is not None or written.source_format == "keras"):
            # What is made of it has to take the same inputs as the exports.
            keras = None if written.takes_other_inputs else source
        return ConvertedModel(
            source=source,
            saved_model=paths.get("saved_model"),
            onnx=paths.get("onnx"),
            keras=keras,
            inputs=written.inputs,
            outputs=written.outputs,
            onnx_inputs=written.onnx_inputs,
            onnx_outputs=written.onnx_outputs,
            parity=Parity(reports=reports),
            source_format=written.source_format,
            choices=written.choices,
            warnings=(*written.warnings, *not_finite_warnings(reports)),
        )


def disagreement(name: str, report: ParityReport, warnings: Sequence[str] = ()) -> ParityError:
    """The error for an export that is not like its source.

    Args:
        name: Its format.
        report: The verdict.
        warnings: What was noticed of the source, such as weights that are NaN.
    """
    noticed = "".join(f"; {warning}" for warning in warnings)
    if not report.examples:  # it can't be run, or gives something else altogether
        return ParityError(
            f"The {name} that was written can't stand for its source: {report.problem}.",
            received=f"{report.reference}{noticed}",
            expected="a file that gives the source's outputs, in their names, types and shapes",
            fix="Try another `opset`, or leave this format out of `formats`. Inputs of unknown rank "
            "have to get a shape (`shapes`).",
            report=report,
        )
    if not _differs(report):
        return ParityError(
            f"The source gives nothing that the {name} could be compared with: {report.problem}.",
            received=f"{report.reference} on {report.examples} examples "
            f"({report.samples}){noticed}",
            expected="numbers",
            fix="Look for weights that are NaN or infinite: training may have diverged. If they "
            "are good, give `samples` like those the model was trained on.",
            report=report,
        )
    first = f", first at {report.first_divergence}" if report.first_divergence else ""
    return ParityError(
        f"The {name} that was written disagrees with its source: {report.problem}{first}.",
        received=f"largest difference {report.max_abs_error:.3g} on {report.examples} examples "
        f"({report.samples}){noticed}",
        expected=f"at most {report.allowed}",
        fix="If such a difference is harmless here, raise `tolerance` (in a recipe "
        "`absolute_tolerance` and `relative_tolerance`). If not, look for a layer that is random "
        "or has a state, or try another `opset`.",
        report=report,
    )


def _differs(report: ParityReport) -> bool:
    """Whether there are values that differ: else it could not be compared at all."""
    return any(output.exceeded for output in report.outputs.values())

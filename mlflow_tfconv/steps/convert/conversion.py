"""Reads a model once, writes what was asked for, and compares each file with the source."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.arguments import made_folder
from mlflow_tfconv.artifacts import ConvertedModel, Parity, ParityReport, TensorSpec
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.atomic import replace_folder
from mlflow_tfconv.engine.events import Emit, Progress, ignore
from mlflow_tfconv.errors import ParityError
from mlflow_tfconv.exporters.live_model import save_live_model
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.comparison import Comparison
from mlflow_tfconv.runtimes.random_inputs import DESCRIPTION, random_inputs
from mlflow_tfconv.runtimes.runtime import open_runtime, predicted
from mlflow_tfconv.runtimes.tolerance import tolerance_of
from mlflow_tfconv.steps.convert.config import ConvertConfig

Batch = Mapping[str, np.ndarray[Any, Any]]

#: Format to the name of its file or folder in the output folder.
FILES = {"saved_model": "saved_model", "onnx": "model.onnx"}
EXAMPLES_FILE = "examples.npz"
_MOST_EXAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What is converted, how, and with what surroundings.

    Attributes:
        source: The model's path; of a live model the one that it is saved to, in the output.
        config: What is asked for.
        samples: Gives the batches to compare on, for the model's inputs; None makes some up.
        samples_named: What the samples are, in words.
        model: A live `keras.Model`, or None to read `source`.
        device: Where to compute; exports are compared on the CPU, where results are exact.
        emit: Takes progress.
    """

    source: Path
    config: ConvertConfig
    samples: Callable[[Sequence[TensorSpec]], Iterable[Batch]] | None = None
    samples_named: str = "given samples"
    model: Any = None
    device: Device = field(default_factory=Device)
    emit: Emit = ignore

    def into(self, output: Path) -> tuple[ConvertedModel, Traced]:
        """Converts; the files are put into `output` when all of them agree with the source.

        Raises:
            ConversionError: The source can't be read, or not be written in a format.
            ParityError: An export disagrees with the source; `output` is as it was.
        """
        work = Path(tempfile.mkdtemp(prefix=".convert-", dir=made_folder(output)))
        try:
            traced = self._read()
            if self.model is not None:
                save_live_model(self.model, work / self.source.name)
            self._write(traced, work)
            reports = self._compared(traced, work, output)
            _put_in_place(work, output)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        paths = {name: output / FILES[name] for name in self.config.formats}
        converted = ConvertedModel(
            source=self.source,
            saved_model=paths.get("saved_model"),
            onnx=paths.get("onnx"),
            inputs=traced.inputs,
            outputs=traced.outputs,
            parity=Parity(reports=reports),
            source_format=traced.source_format,
            choices=traced.choices,
            warnings=self._warnings(traced),
        )
        return converted, traced

    def _read(self) -> Traced:
        self._progress(0, "reading")
        return traced_from_source(self.source, device=self.device, model=self.model)

    def _write(self, traced: Traced, work: Path) -> None:
        from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced

        for done, name in enumerate(self.config.formats, start=1):
            self._progress(done, f"writing {FILES[name]}")
            if name == "saved_model":
                saved_model_from_traced(traced, work / FILES[name])
            else:
                from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced

                onnx_from_traced(traced, work / FILES[name], opset=self.config.opset)

    def _compared(self, traced: Traced, work: Path, output: Path) -> dict[str, ParityReport]:
        """A verdict for each format; the source computes its outputs once."""
        self._progress(len(self.config.formats) + 1, "comparing")
        reference = traced.open_reference()
        answers = [(batch, predicted(reference, batch)) for batch in self._batches(traced)]
        _keep_examples([batch for batch, _ in answers], work / EXAMPLES_FILE)
        reports: dict[str, ParityReport] = {}
        for name in self.config.formats:
            report = self._verdict(name, work / FILES[name], answers)
            reports[name] = replace(report, candidate=output / FILES[name])
            if not report.passed:
                raise _disagreement(name, reports[name])
        self._progress(len(self.config.formats) + 2, "done")
        return reports

    def _verdict(
        self, name: str, path: Path, answers: Sequence[tuple[Batch, Batch]]
    ) -> ParityReport:
        allowed = self.config.absolute_tolerance, self.config.relative_tolerance
        comparison = Comparison(tolerance_of(allowed))
        with open_runtime(path, name, device=self.device) as runtime:
            for batch, answer in answers:
                if not comparison.add(batch, answer, runtime):
                    break
        named = DESCRIPTION if self.samples is None else self.samples_named
        return comparison.report(self.source, path, named)

    def _batches(self, traced: Traced) -> Iterable[Batch]:
        if self.samples is None:
            return random_inputs(traced.inputs)
        return self.samples(traced.inputs)

    def _warnings(self, traced: Traced) -> tuple[str, ...]:
        if self.samples is not None:
            return traced.warnings
        return (*traced.warnings, f"There was no data to compare the outputs on: {DESCRIPTION}.")

    def _progress(self, done: int, detail: str) -> None:
        total = len(self.config.formats) + 2
        self.emit(Progress(label="convert", done=done, total=total, detail=detail))


def _put_in_place(work: Path, output: Path) -> None:
    for item in work.iterdir():
        if item.is_dir():
            replace_folder(item, output / item.name)
        else:
            item.replace(output / item.name)


def _keep_examples(batches: Sequence[Batch], path: Path) -> None:
    """A few examples for whoever loads the model back; strings don't fit into the file."""
    if batches and all(array.dtype != object for array in batches[0].values()):
        few: dict[str, Any] = {name: array[:_MOST_EXAMPLES] for name, array in batches[0].items()}
        np.savez(path, **few)


def _disagreement(name: str, report: ParityReport) -> ParityError:
    if not report.examples:  # it can't be run, or gives something else altogether
        return ParityError(
            f"The {name} that was written can't stand for its source: {report.problem}.",
            received=f"{report.reference}",
            expected="a file that gives the source's outputs, in their names, types and shapes",
            fix="Try another `opset`, or leave this format out of `formats`. Inputs of unknown rank "
            "have to get a shape before the model is saved.",
            report=report,
        )
    return ParityError(
        f"The {name} that was written disagrees with its source: {report.problem}.",
        received=f"largest difference {report.max_abs_error:.3g} on {report.examples} examples "
        f"({report.samples})",
        expected=f"at most {report.absolute_tolerance:g} + {report.relative_tolerance:g} x |value|",
        fix="If such a difference is harmless here, raise `absolute_tolerance` or "
        "`relative_tolerance`. If not, look for a layer that is random or has a state, or try "
        "another `opset`.",
        report=report,
    )

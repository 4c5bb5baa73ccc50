"""The step that lets the best variant through the gate and asks for its registration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mlflow_tfconv.artifacts import Registration, Reports, VariantReport
from mlflow_tfconv.engine.cards import Card, Table, Text
from mlflow_tfconv.engine.events import RegisterModel, Tag
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.register.config import RegisterConfig

_UNVALIDATED_ALIAS = "challenger"


class RegisterStep(Step[RegisterConfig]):
    """Judges every variant, chooses the best of those that pass and says why."""

    name: ClassVar[str] = "register"
    config_class: ClassVar[type] = RegisterConfig
    reads: ClassVar[tuple[str, ...]] = ("metrics", "settings")

    def run(
        self,
        source: Reports,
        workdir: Path,  # noqa: ARG002 (nothing of this step is a file)
        context: StepContext = StepContext(),
    ) -> StepResult:
        """The choice, as a `Registration`; the driver process carries it out in the registry.

        Raises:
            GateError: No variant passed; the message says what each one missed.
            ConfigError: A metric is asked for that no variant has, or no name for the model.
        """
        from mlflow_tfconv.steps.register.gate import judge, nobody_passed

        model_name = self._model_name(context)
        self._check_metrics(source)
        verdicts = judge(source.rows, self.config.validation_criteria, self.config.formats)
        _tell_verdicts(verdicts, context)
        chosen, validated = self._choose(source, verdicts, context)
        if chosen is None:
            raise nobody_passed(verdicts)
        alias = self.config.alias if validated else _UNVALIDATED_ALIAS
        registration = Registration(
            run_name=chosen.run_name,
            model_name=model_name,
            alias=alias,
            verdicts=verdicts,
            metrics=chosen.metrics,
        )
        reason = self._reason(registration, validated)
        context.emit(_request(registration, chosen, reason, validated))
        return StepResult(output=registration, card=self._card(registration, source, reason))

    def _model_name(self, context: StepContext) -> str:
        name = self.config.model_name or context.settings.get("model_name")
        if not name:
            raise ConfigError(
                "The registered model has no name.",
                fix="Set register.model_name, or model_registry.model_name in the profile.",
            )
        return str(name)

    def _check_metrics(self, source: Reports) -> None:
        from mlflow_tfconv.steps.register.gate import check_names

        asked = [criterion.metric for criterion in self.config.validation_criteria]
        check_names([*asked, self.config.choose], source.rows)

    def _choose(
        self, source: Reports, verdicts: Mapping[str, tuple[str, ...]], context: StepContext
    ) -> tuple[VariantReport | None, bool]:
        """The best of those that passed; else, where that is allowed, the best of all."""
        from mlflow_tfconv.steps.register.gate import best, greater_is_better

        direction = self.config.greater_is_better
        if direction is None:
            qualities = {metric.name: metric.greater_is_better for metric in context.metrics}
            direction = greater_is_better(self.config.choose, qualities)
        passed = [row for row in source.rows if not verdicts[row.run_name]]
        chosen = best(passed, self.config.choose, greater_is_better=direction)
        if chosen is not None or not self.config.allow_non_validated_model:
            return chosen, True
        able = [r for r in source.rows if r.run_name.rpartition("/")[2] in self.config.formats]
        return best(able, self.config.choose, greater_is_better=direction), False

    def _reason(self, registration: Registration, validated: bool) -> str:
        value = registration.metrics[self.config.choose]
        chosen = f"{registration.run_name} has the best {self.config.choose}, {value:.6g}"
        passed = sum(not missed for missed in registration.verdicts.values())
        if validated:
            return (
                f"{chosen}, of the {passed} of {len(registration.verdicts)} variants that passed."
            )
        return f"{chosen}. No variant passed; register.allow_non_validated_model lets it through."

    def _card(self, registration: Registration, source: Reports, reason: str) -> Card:
        asked = dict.fromkeys([c.metric for c in self.config.validation_criteria])
        columns = list(dict.fromkeys([*asked, self.config.choose]))
        rows = [
            (
                row.run_name,
                *(f"{row.metrics[c]:.6g}" if c in row.metrics else "-" for c in columns),
                _verdict(row.run_name, registration),
            )
            for row in source.rows
        ]
        return Card(
            title=f"{registration.run_name} → {registration.model_name}@{registration.alias}",
            parts=(
                Text(text=reason),
                Table(columns=("variant", *columns, "verdict"), rows=tuple(rows)),
            ),
        )


def _tell_verdicts(verdicts: Mapping[str, tuple[str, ...]], context: StepContext) -> None:
    for run, missed in verdicts.items():
        text = "missed: " + "; ".join(missed) if missed else "passed"
        context.emit(Tag(name="tfconv.verdict", value=text, run=run))


def _verdict(run_name: str, registration: Registration) -> str:
    missed = registration.verdicts[run_name]
    if run_name == registration.run_name:
        return "chosen" if not missed else f"chosen, though it missed {'; '.join(missed)}"
    return f"missed: {'; '.join(missed)}" if missed else "passed"


def _request(
    registration: Registration, chosen: VariantReport, reason: str, validated: bool
) -> RegisterModel:
    metrics: dict[str, Any] = {name: f"{value:.6g}" for name, value in chosen.metrics.items()}
    return RegisterModel(
        run=registration.run_name,
        model_name=registration.model_name,
        alias=registration.alias,
        description=reason,
        tags={
            "tfconv.variant": registration.run_name,
            "tfconv.fingerprint": chosen.fingerprint,
            "tfconv.validated": str(validated).lower(),
            **metrics,
        },
    )

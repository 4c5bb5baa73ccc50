"""What a conversion is doing: for the user, and for the guard, who ends what takes too long."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow_tfconv.engine.events import Progress
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.steps.convert.config import ConvertConfig

#: Most seconds for reading and for each file, when the user says nothing: for models of many GB.
PHASE_S = 1800.0
#: The same for a batch that is compared, and more for each example in it.
BATCH_S, EXAMPLE_S = 60.0, 1.0

#: What is shown while each part is going on, in their order.
READING, SAVED_MODEL, ONNX = "reading", "writing saved_model", "writing model.onnx"
COMPARING, COMPARING_ONNX, DONE = "comparing", "comparing model.onnx", "done"


class Phases:
    """Announces phases of a conversion."""

    def __init__(self, voice: Voice, config: ConvertConfig) -> None:
        self._voice, self._limit_s = voice, config.time_limit_s
        self._order = phases_of(config.formats)

    def begin(self, name: str) -> None:
        """A phase begins, and the one before it has ended."""
        self._voice.phase(name, self._limit_s or PHASE_S)
        self._voice.emit(progress(name, self._order))

    def batch(self, name: str, examples: int) -> None:
        """A batch of a phase begins."""
        self._voice.phase(name, self._limit_s or BATCH_S + EXAMPLE_S * examples)


def phases_of(formats: Sequence[str]) -> tuple[str, ...]:
    """All phases of a conversion."""
    written = [SAVED_MODEL] * ("saved_model" in formats) + [ONNX] * ("onnx" in formats)
    compared = [COMPARING] + [COMPARING_ONNX] * ("onnx" in formats)
    return (READING, *written, *compared, DONE)


def progress(name: str, order: Sequence[str]) -> Progress:
    """The event that a phase has begun."""
    done = order.index(name) if name in order else 0
    return Progress(label="convert", done=done, total=len(order) - 1, detail=name)

"""The error of a training whose loss is no longer a number, before anyone has looked why."""

from __future__ import annotations

from mlflow_tfconv.errors import StepError

_FIX = (
    "Lower the learning rate or clip gradients (clipnorm=1.0) in steps/train.py, and look for NaN, "
    "Inf or unscaled values in the features and labels."
)


class NotFiniteError(StepError):
    """Raised when a loss, or the metric to monitor, is no longer a number.

    Attributes:
        name: Of the loss or metric.
        value: NaN or an infinity.
        epoch: Counted from 0.
        batches: The first and the last batch of the epoch, counted from 0, that may be the cause;
            None when it was seen at the end of the epoch.
        elapsed_s: Time since the epoch began.
    """

    def __init__(
        self,
        name: str,
        value: float,
        *,
        epoch: int,
        batches: tuple[int, int] | None = None,
        elapsed_s: float = 0.0,
    ) -> None:
        self.name, self.value, self.epoch, self.batches = name, value, epoch, batches
        self.elapsed_s = elapsed_s
        super().__init__(
            f"Training was stopped in {where(epoch, batches)}: {name} is no longer a number.",
            received=f"{name} = {value}",
            expected="a finite number",
            fix=_FIX,
        )


def where(epoch: int, batches: tuple[int, int] | None) -> str:
    """Such as "epoch 2, batch 17", counted from 1."""
    if batches is None:
        return f"epoch {epoch + 1}"
    first, last = batches[0] + 1, batches[1] + 1
    return f"epoch {epoch + 1}, " + (
        f"batch {last}" if first == last else f"one of the batches {first} to {last}"
    )

"""How fast a training is, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow_tfconv.engine.overview import duration

#: Less progress than this says nothing: TensorFlow traces and reads ahead at first.
_LEAST_S = 1.0


@dataclass(slots=True, kw_only=True)
class Pace:
    """Progress over time, measured from when it was first told.

    Attributes:
        epochs: Of the whole training.
        examples: Of an epoch.
        began: Epochs that were done at the begin, and when it was (seconds of a clock).
    """

    epochs: int
    examples: int
    began: tuple[float, float] | None = None

    def words(self, done: float, now_s: float) -> str:
        """Examples a second and the time that is left, such as "1,200 examples/s, 2 min left".

        Empty while it is too early to tell.

        Args:
            done: Epochs that are done, with a part of one.
            now_s: The time.
        """
        if self.began is None:
            self.began = (done, now_s)
        gained, elapsed_s = done - self.began[0], now_s - self.began[1]
        if gained <= 0 or elapsed_s < _LEAST_S:
            return ""
        left = duration((self.epochs - done) * elapsed_s / gained)
        return f"{gained * self.examples / elapsed_s:,.0f} examples/s, {left} left"

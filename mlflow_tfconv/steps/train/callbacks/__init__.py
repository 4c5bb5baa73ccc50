"""What training adds to a user's callbacks, one file each."""

from mlflow_tfconv.steps.train.callbacks.best_epoch import BestEpoch
from mlflow_tfconv.steps.train.callbacks.epoch_end import EpochEnd
from mlflow_tfconv.steps.train.callbacks.tensorboard_logs import Logs
from mlflow_tfconv.steps.train.callbacks.watch import Watch, no_such_metric

__all__ = ["BestEpoch", "EpochEnd", "Logs", "Watch", "no_such_metric"]

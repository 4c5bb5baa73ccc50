"""The former home of `formats.recognition`."""

from mlflow_tfconv.formats.recognition import FORMATS as FORMATS
from mlflow_tfconv.formats.recognition import Recognised as Recognised
from mlflow_tfconv.formats.recognition import recognised as recognised

"""Models that Keras 1 and TensorFlow 1 have written become a SavedModel and ONNX of today.

Run it from any folder: `python 06_convert_an_old_model.py`.
"""

import tempfile
from pathlib import Path

import numpy as np

import mlflow_tfconv as tfconv

old = Path(__file__).parents[1] / "tests" / "fixtures" / "legacy"
scratch = tempfile.TemporaryDirectory(prefix="tfconv-")  # deleted at the end
folder = Path(scratch.name)

# A checkpoint of TensorFlow 1.12, made by training: what only training needs is left out, and
# is_training is set to False. The result says what was inferred, and what else there is.
checkpoint = old / "k03_tf1_layers_bn_is_training" / "model.ckpt-80"
converted = tfconv.convert(checkpoint, folder / "classifier")
for choice in converted.choices:
    print(choice)

# The outputs that TensorFlow 1.12 itself computed for five images.
expected = np.load(checkpoint.with_name("expected.npz"))
report = tfconv.check_parity(
    converted.saved_model, converted.onnx, samples={"x": expected["in__x"]}
)
print(f"TensorFlow 1 checkpoint: {report.passed}, {report.max_abs_error:.1e}")

# A Keras 1.2 file with a Lambda layer. Its code is bytecode of Python 3.6, which nobody executes.
steering = old / "k14_keras122_nvidia_lambda" / "model.h5"
print(tfconv.inspect_model(steering))
converted = tfconv.convert(
    steering, folder / "steering", lambdas={"lambda_1": lambda x: x / 127.5 - 1.0}
)
print(f"Keras 1 file: {converted.onnx.name}, {converted.parity.max_abs_error:.1e}")

scratch.cleanup()

"""A recipe, run and used from Python: what `mlflow recipes run` does, and then the things it made.

Run it from any folder: `python 05_recipe_from_python.py`.
"""

import shutil
import tempfile
from pathlib import Path

from mlflow_tfconv import Recipe

TEMPLATE = Path(__file__).resolve().parents[1] / "recipes" / "digits"

# A profile may replace any key of recipe.yaml. This one asks for less, to be done in seconds.
PROFILE = """
experiment: {name: digits, tracking_uri: "sqlite:///metadata/mlflow.db"}
model_registry: {model_name: digits}
DEVICE: cpu
EPOCHS: 4
INGEST_CONFIG: {using: custom, label: digit}
steps:
  convert: {formats: [onnx]}
  compress: {variants: [{name: int8, quantize: static_int8}]}
  benchmark: {batch_sizes: [1], min_time_s: 0.1}
  register: {validation_criteria: [{metric: quality/accuracy, min: 0.8}]}
"""

scratch = tempfile.TemporaryDirectory(prefix="tfconv-")  # deleted at the end
root = Path(scratch.name) / "digits"
shutil.copytree(TEMPLATE, root, ignore=shutil.ignore_patterns("metadata", "__pycache__"))
(root / "profiles" / "local.yaml").write_text(PROFILE)

recipe = Recipe(profile="local", root=root)
recipe.run()  # the second time it has nothing to do

for images, digits in recipe.get_artifact("dataset").take(1):  # a tf.data.Dataset
    print(f"dataset: batches of {images.shape} and {digits.shape}")
model = recipe.get_artifact("model")  # a keras.Model
print(f"model: {model.count_params():,} parameters")
print(f"onnx_model: {recipe.get_artifact('onnx_model')}")
print(f"variants: {', '.join(recipe.get_artifact('variants'))}")  # run name to path
report = recipe.get_artifact("benchmark_report")  # a pandas DataFrame
print(report[["quality/accuracy", "latency/p50_ms", "footprint/size_mb"]])
version = recipe.get_artifact("registered_model_version")  # MLflow's own entity
print(f"registered_model_version: {version.name} {version.version}")
print(f"run: {recipe.get_artifact('run').info.run_id}")

scratch.cleanup()

"""The steps of a recipe as plain objects: without recipe.yaml, and without a tracking server.

Each step takes what the one before it gave, and writes into a folder of its own. Run it from any
folder: `python 04_steps_from_python.py`.
"""

import tempfile
from pathlib import Path

import mlflow_tfconv as tfconv
from mlflow_tfconv.engine.events import Event, Metric
from mlflow_tfconv.steps import (
    ConvertConfig,
    ConvertStep,
    IngestConfig,
    IngestStep,
    StepContext,
    TrainConfig,
    TrainStep,
)

# The folder that holds steps/ingest.py (yields examples) and steps/train.py (gives the model).
CODE = Path(__file__).resolve().parents[1] / "recipes" / "digits"


def tell(event: Event) -> None:
    """Prints the metrics of each epoch."""
    if isinstance(event, Metric) and event.name == "val_accuracy":
        print(f"epoch {event.step}: validation accuracy {event.value:.3f}")


scratch = tempfile.TemporaryDirectory(prefix="tfconv-")  # deleted at the end
folder = Path(scratch.name)
for name in ("ingest", "train", "convert"):
    (folder / name).mkdir()

ingest = IngestStep(IngestConfig(label="digit", split_ratios=(0.8, 0.1, 0.1)))
context = StepContext(recipe_root=CODE)
dataset = ingest.run(None, folder / "ingest", context).output  # the first step has no source
print(f"{dict(dataset.counts)} examples, digest {dataset.digest[:12]}")
for images, digits in tfconv.read_dataset(dataset, "train", batch_size=64).take(1):
    print(f"a batch: images {images.shape}, digits {digits.shape}")

# The data reach the steps after this one through the context; what they have to tell comes to
# `emit` as events: progress, metrics, files. A recipe shows and logs them; here one kind is printed.
context = StepContext(recipe_root=CODE, dataset=dataset, emit=tell)
train = TrainStep(TrainConfig(epochs=3, batch_size=64, params={"dropout": 0.1}))
trained = train.run(dataset, folder / "train", context)
print(trained.card.title)

convert = ConvertStep(ConvertConfig(formats=("onnx",)))
converted = convert.run(trained.output, folder / "convert", context).output
print(f"{converted.onnx} agrees with Keras: {converted.parity['onnx'].passed}")

scratch.cleanup()

"""The formats of models that are known, and how a person calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Name of a format to what a person calls it.
FORMATS = {
    "keras": "Keras 3 model (.keras archive)",
    "keras_v2": "tf.keras model (.keras archive of Keras 2)",
    "keras_h5": "Keras model in HDF5, architecture and weights",
    "weights_h5": "Keras weights in HDF5, without the architecture",
    "keras_json": "Keras architecture in JSON, without weights",
    "keras_yaml": "Keras architecture in YAML, without weights",
    "saved_model": "TensorFlow SavedModel",
    "exports_folder": "folder of exported SavedModels",
    "onnx": "ONNX model",
    "tf_checkpoint": "TensorFlow checkpoint",
    "tf_checkpoint_v1": "TensorFlow checkpoint of the first kind (V1)",
    "object_checkpoint": "TensorFlow 2 checkpoint of objects",
    "tf_checkpoint_folder": "folder of TensorFlow checkpoints",
    "meta_graph": "TensorFlow MetaGraph (the graph that belongs to a checkpoint)",
    "graph_def": "TensorFlow GraphDef (frozen graph)",
    "graph_text": "TensorFlow graph as text",
    "tflite": "TensorFlow Lite model",
    "darknet_weights": "darknet weights",
    "darknet_cfg": "darknet architecture (cfg)",
    "archive": "archive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a path holds.

    Attributes:
        format: A key of `FORMATS`.
        path: The file or folder; for a checkpoint its prefix.
        detail: What was seen that a person may want to know, or "".
    """

    format: str
    path: Path
    detail: str = ""

    def __str__(self) -> str:
        """In words."""
        return FORMATS[self.format] + (f": {self.detail}" if self.detail else "")

"""The inner tensors of an ONNX file: a copy of its graph gets them as outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from mlflow_tfconv.runtimes.inner_values import Array, Batch, InnerValues, short_name

#: Where ONNX Runtime looks for external data of a model that it gets as bytes.
_DATA_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxInnerValues(InnerValues):
    """The tensors between the nodes of an ONNX file; those inside of loops and branches aren't."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._model = onnx.load(str(path), load_external_data=False)
        graph = self._model.graph
        self._own: dict[str, str] = {}
        self._producers: dict[str, Any] = {}
        for node in graph.node:
            for name in filter(None, node.output):
                self._own.setdefault(short_name(name), name)
                self._producers[name] = node
        self.order = list(self._own)
        self.outputs = {value.name: short_name(value.name) for value in graph.output}

    def before(self, tensor: str) -> Iterable[str]:
        """The inputs of the node that gives it."""
        producer = self._producers.get(self._own.get(tensor, tensor))
        return [] if producer is None else [short_name(name) for name in producer.input if name]

    def values(self, batch: Batch, tensors: Sequence[str]) -> dict[str, Array]:
        """Runs the copy; ONNX Runtime still optimizes it, as far as these outputs allow."""
        names = list(dict.fromkeys(self._own[tensor] for tensor in tensors))
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        known = {value.name for value in model.graph.output}
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in names if name not in known
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry(_DATA_FOLDER, str(self._folder.resolve()))
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found = dict(zip(names, session.run(names, dict(batch)), strict=True))
        return {tensor: found[self._own[tensor]] for tensor in tensors}

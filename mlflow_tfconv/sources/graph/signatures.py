"""Signatures of a MetaGraph."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.sources.graph.graph_source import GraphSignature


def signatures_of(meta: Any) -> dict[str, GraphSignature]:
    """Key to signature; those whose tensors have no plain names (sparse ones) are left out."""
    if meta is None:
        return {}
    return {
        key: GraphSignature(
            inputs=_tensors(signature.inputs),
            outputs=_tensors(signature.outputs),
            method_name=signature.method_name,
        )
        for key, signature in sorted(meta.signature_def.items())
        if key != "__saved_model_init_op" and _is_plain(signature)
    }


def _is_plain(signature: Any) -> bool:
    infos = [*signature.inputs.values(), *signature.outputs.values()]
    return all(info.WhichOneof("encoding") == "name" for info in infos)


def _tensors(infos: Any) -> dict[str, str]:
    return {name: info.name for name, info in sorted(infos.items())}

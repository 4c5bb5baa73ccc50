"""Which function of a SavedModel is the model."""

from __future__ import annotations

import difflib
from pathlib import Path

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph
from mlflow_tfconv.sources.saved_model.endpoint import Endpoint, endpoints

DEFAULT_SIGNATURE = "serving_default"
#: What models without signatures are called by, the likeliest first.
_METHODS = ("__call__", "serve", "call", "predict", "forward", "inference")
_MOST_SHOWN = 12


def chosen_endpoint(
    objects: SavedObjectGraph, path: Path, key: str | None
) -> tuple[Endpoint, tuple[Choice, ...]]:
    """The function to convert, and what else could have been.

    Args:
        objects: The SavedModel's objects.
        path: Its folder, for messages.
        key: A signature's key or the path of a function ("encoder.__call__"); None takes
            `serving_default`, the only signature, or in a SavedModel without any the function that
            the saved object is called by.

    Raises:
        ConversionError: There is none of that name, or none can be told; the candidates are listed.
    """
    signatures, methods = objects.signatures(), objects.methods()
    nodes = {**signatures, **{name: n for name, n in methods.items() if name not in signatures}}
    chosen = key or _told(list(signatures), list(methods))
    if chosen is None or chosen not in nodes:
        raise _unknown(objects, path, key, nodes if key else signatures or methods)
    found = endpoints(objects, chosen, nodes[chosen])
    if not found:
        raise _unknown(objects, path, chosen, signatures)
    return found[0], tuple(_choices(found, key, list(signatures or methods)))


def _told(signatures: list[str], methods: list[str]) -> str | None:
    if DEFAULT_SIGNATURE in signatures:
        return DEFAULT_SIGNATURE
    if signatures:
        return signatures[0] if len(signatures) == 1 else None
    direct = [name for name in methods if "." not in name]
    likely = [name for name in _METHODS if name in direct]
    if likely:
        return likely[0]
    candidates = direct or methods
    return candidates[0] if len(candidates) == 1 else None


def _choices(found: list[Endpoint], key: str | None, names: list[str]) -> list[Choice]:
    choices = []
    others = tuple(sorted(set(names) - {found[0].key}))
    if others and key is None:
        choices.append(
            Choice(
                what="signature",
                chosen=found[0].key,
                alternatives=others[:_MOST_SHOWN],
                argument="signature",
            )
        )
    different = {str(endpoint) for endpoint in found} - {str(found[0])}
    if different:
        choices.append(
            Choice(
                what=f"trace of {found[0].key}",
                chosen=str(found[0]),
                alternatives=tuple(sorted(different))[:_MOST_SHOWN],
                reason="the trace for inference that takes most sizes",
            )
        )
    return choices


def _unknown(
    objects: SavedObjectGraph, path: Path, key: str | None, nodes: dict[str, int]
) -> ConversionError:
    shown = [str(e) for name, n in nodes.items() for e in endpoints(objects, name, n)[:1]]
    near = difflib.get_close_matches(key or "", list(nodes), n=3)
    more = f"; and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    if not nodes:
        what = "This SavedModel has neither signatures nor functions: it can't be called."
    elif key is None:
        what = "It can't be told which function of this SavedModel is the model."
    else:
        what = f"This SavedModel has no signature or function {key!r}."
    return ConversionError(
        what,
        received=f"{path} with {'; '.join(shown[:_MOST_SHOWN]) or 'none'}{more}",
        expected=f"signature={' or '.join(map(repr, near or list(nodes)[:3]))}" if nodes else None,
        fix="Name one of them: signature=..."
        if nodes
        else "Save it again with tf.saved_model.save(model, path, signatures=function).",
    )

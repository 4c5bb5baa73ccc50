"""Files of text: architectures of Keras and darknet, graphs of TensorFlow."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.unknown_files import damaged_file, unknown_file

_MOST_BYTES = 64 * 2**20
_YAML = re.compile(rb"^[ \t]*['\"]?class_name['\"]?[ \t]*:", re.MULTILINE)
_YAML_CONFIG = re.compile(rb"(?:^|[{,])[ \t]*['\"]?config['\"]?[ \t]*:|!!python", re.MULTILINE)
_CFG = re.compile(rb"^[ \t]*\[(net|network|convolutional|connected|crop|conv|conn)\]", re.MULTILINE)
_COMMENTS = re.compile(rb"^(?:[ \t\r]*(?:[#;][^\n]*)?\n)*[ \t\r]*")
#: First words of messages in the text form of protobuf.
_GRAPH = re.compile(rb"(node|library|versions|version)\s*[:{]")
_META_GRAPH = re.compile(rb"(meta_info_def|graph_def|saver_def|collection_def)\s*:?\s*\{")
_SAVED_MODEL = re.compile(rb"(saved_model_schema_version\s*:|meta_graphs\s*:?\s*\{)")


def by_text(path: Path, head: bytes) -> Recognised | None:
    """The format of a text; None when it is none of these.

    Args:
        path: The file.
        head: Its first bytes.

    Raises:
        ConversionError: It is the text of a model that is not whole, or of another library.
    """
    start = head.removeprefix(b"\xef\xbb\xbf")
    start = start[len(_COMMENTS.match(start).group()) :]  # type: ignore[union-attr]  # always matches
    if start[:1] in (b"{", b'"'):
        found = _json(path)
        if found is not None:
            return found
    if _SAVED_MODEL.match(start):
        return Recognised(format="saved_model", path=path.parent, detail="as text")
    if _META_GRAPH.match(start):
        return Recognised(format="graph_text", path=path, detail="MetaGraph")
    if _GRAPH.match(start):
        return Recognised(format="graph_text", path=path)
    if start[:1] == b"[" and _CFG.match(start):
        return Recognised(format="darknet_cfg", path=path)
    if _YAML.search(head) and _YAML_CONFIG.search(head):
        return Recognised(format="keras_yaml", path=path)
    return None


def _json(path: Path) -> Recognised | None:
    """Keras wraps the text in a second JSON string when `to_json()` is dumped once more."""
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES)
    try:
        content = json.loads(text.decode("utf-8-sig"))
        if isinstance(content, str):
            content = json.loads(content)
    except (ValueError, RecursionError) as error:
        if b"class_name" in text[:4096]:
            why = f"a Keras architecture that is not whole JSON ({error})"
            raise damaged_file(path, why) from error
        return None
    if isinstance(content, dict) and "class_name" in content and "config" in content:
        return Recognised(format="keras_json", path=path)
    if isinstance(content, dict) and "modelTopology" in content:
        fix = "Convert it with tensorflowjs_converter to a Keras file first."
        raise unknown_file(path, "but one of TensorFlow.js", fix=fix)
    return None

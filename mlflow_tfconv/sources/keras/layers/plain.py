"""Layers whose arguments mean today what they always meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlflow_tfconv.sources.keras.activations import activation
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.translated import Translated

Translator = Callable[[LayerConfig], Translated]

#: Arguments that matter for training, or for the place of the layer, alone.
_NO_MATTER = {
    "name", "trainable", "dtype", "autocast", "batch_input_shape", "batch_shape", "input_shape",
    "input_dtype", "input_dim", "input_length", "sparse", "ragged", "implementation", "unroll",
    "consume_less", "init", "inner_init", "forget_bias_init", "dropout", "recurrent_dropout",
    "dropout_W", "dropout_U", "unit_forget_bias", "activity_regularizer", "seed", "momentum",
    "fused", "renorm", "renorm_clipping", "renorm_momentum", "synchronized", "weights",
    "gamma_init", "beta_init", "use_legacy_config", "is_quantized", "quantization_config",
    "lora_rank", "lora_alpha", "optional", "virtual_batch_size",
}  # fmt: skip
_NO_MATTER_ENDS = ("_initializer", "_regularizer", "_constraint", "_init")
#: What a layer may compute in.
_COMPUTABLE = (
    "float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16",
)  # fmt: skip


def plain(
    today: Any,
    *arguments: str,
    renamed: dict[str, str] | None = None,
    activations: Sequence[str] = (),
    ignored: Sequence[str] = (),
    values: dict[str, Any] | None = None,
) -> Translator:
    """A translator of layers that are what they always were.

    Args:
        today: The class of today.
        arguments: Names of arguments that are handed on.
        renamed: Old name of an argument to today's.
        activations: Arguments that name activation functions.
        ignored: Further arguments that don't matter for what the layer computes.
        values: Arguments that are always given.
    """
    words = {**{name: name for name in arguments}, **(renamed or {})}

    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {*words, *activations, *ignored})
        given = {words[name]: value for name, value in layer.kept(words).items()}
        functions = {name: activation(layer, name) for name in activations}
        return made(today, layer, **given, **functions, **(values or {}))

    return translate


def made(today: Any, layer: LayerConfig, /, **arguments: Any) -> Translated:
    """A layer of today's Keras under the original's name."""
    arguments = {name: value for name, value in arguments.items() if value is not None}
    live = today(name=layer.today, **dtype_of(layer), **arguments)
    return Translated(
        name=layer.name, class_name=layer.class_name, layer=live, trainable=layer.trainable
    )


def dtype_of(layer: LayerConfig) -> dict[str, str]:
    """What the layer computes in, where that is not float32."""
    said = layer.arguments.get("dtype")
    if isinstance(said, dict):  # a policy
        inner = said.get("config")
        said = inner.get("name") if isinstance(inner, dict) else None
    return {"dtype": said} if said in _COMPUTABLE and said != "float32" else {}


def note_unknown(layer: LayerConfig, known: set[str]) -> None:
    """Warns of arguments that nobody looks at."""
    for name, value in layer.arguments.items():
        if name in known or name in _NO_MATTER or name.endswith(_NO_MATTER_ENDS):
            continue
        if value not in (None, False, "channels_last", "channels_first"):
            layer.around.warnings.append(
                f"Argument {name}={value!r} of layer {layer.name!r} ({layer.written_as}) is not "
                "known and was ignored."
            )


def zeros_for(*names: str) -> dict[str, str]:
    """Initializers for weights that are read anyway: random ones would cost time."""
    return {f"{name}_initializer": "zeros" for name in names}

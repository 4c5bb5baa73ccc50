"""Layers that older Kerases had and today's has not, or has with another meaning.

Importing this registers them with Keras, so that files with them can be loaded.
"""

from mlflow_tfconv.runtimes.layers_of_old import (
    activations,
    advanced_activations,
    attention,
    bidirectional,
    channels_first,
    convolution,
    core,
    local,
    merge,
    normalization,
    operations,
    theano_padding,
    time_distributed,
)

__all__ = [
    "activations",
    "advanced_activations",
    "attention",
    "bidirectional",
    "channels_first",
    "convolution",
    "core",
    "local",
    "merge",
    "normalization",
    "operations",
    "theano_padding",
    "time_distributed",
]

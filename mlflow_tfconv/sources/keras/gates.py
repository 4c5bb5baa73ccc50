"""How the gates of recurrent layers were stored: apart, together, or as cuDNN wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlflow_tfconv.sources.keras.stored_layer import Array, Shape
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

_WEIGHTS = 3  # kernel, recurrent kernel, bias


def gates_apart(
    translated: Translated,
    written: Sequence[str],
    order: Sequence[int],
    convert: Callable[[Array], Array] = lambda kernel: kernel,
    stored: Callable[[Shape], Shape] = lambda shape: shape,
) -> WeightLayout:
    """Keras 1: W, U and b of each gate by themselves.

    Args:
        translated: The layer.
        written: The letters of the gates in the order in which they were written.
        order: The place among those of each gate of today.
        convert: What makes a stored kernel one of today.
        stored: Shape of a kernel of today to that of a stored one.
    """
    plain = translated.plain_layout()
    gates = len(written)
    shapes = [(*shape[:-1], shape[-1] // gates) for shape in plain.shapes]
    one = [stored(shapes[0]), stored(shapes[1]), *shapes[2:]]

    def values(arrays: Sequence[Array]) -> Sequence[Array]:
        kinds = [[arrays[gate * len(one) + kind] for gate in order] for kind in range(len(one))]
        joined = [
            [convert(a) if kind < 2 else a for a in group] for kind, group in enumerate(kinds)
        ]
        return [np.concatenate(group, axis=-1) for group in joined]

    return WeightLayout(
        names=tuple(f"{kind}_{gate}" for gate in written for kind in "WUb"[: len(one)]),
        shapes=tuple(one) * gates,
        values=values,
        trainable=len(one) * gates,
    )


def as_cudnn_wants_it(translated: Translated, gates: int) -> WeightLayout:
    """CuDNNLSTM and CuDNNGRU: kernels transposed gate by gate, two biases in a row.

    The conversion is that of Keras' own `_convert_rnn_weights`.
    """
    plain = translated.plain_layout()
    kernel, recurrent, *bias = plain.shapes
    long = (2 * gates * recurrent[0],)

    def values(arrays: Sequence[Array]) -> Sequence[Array]:
        kernels = np.hstack(
            [gate.T.reshape(gate.shape, order="F") for gate in np.hsplit(arrays[0], gates)]
        )
        recurrents = np.hstack([gate.T for gate in np.hsplit(arrays[1], gates)])
        two = arrays[2].reshape(2, -1)
        summed = two.sum(axis=0) if len(bias[0]) == 1 else two
        return [kernels, recurrents, summed]

    return WeightLayout(
        names=plain.names, shapes=(kernel, recurrent, long), values=values, trainable=_WEIGHTS
    )

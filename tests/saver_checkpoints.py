"""Small checkpoints as `tf.train.Saver` of TensorFlow 1 wrote them, for tests of who reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

_TWO_CPUS = v1.ConfigProto(device_count={"CPU": 2})

#: What the variables of `dense_graph` hold.
KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)
BIAS = np.array([1, 2, 3], np.float32)


def dense_graph(*, resource: bool = False, partitions: int | None = None) -> None:
    """y = x @ kernel + bias, in the default graph."""
    partitioner = v1.fixed_size_partitioner(partitions) if partitions else None
    x = v1.placeholder(tf.float32, [None, 4], name="x")
    with v1.variable_scope("layer", use_resource=resource, partitioner=partitioner):
        kernel = v1.get_variable("kernel", [4, 3], initializer=_kernel)
    with v1.variable_scope("layer", use_resource=resource):
        bias = v1.get_variable("bias", initializer=tf.constant(BIAS))
    tf.add(tf.matmul(x, tf.convert_to_tensor(kernel)), bias, name="y")


def two_devices() -> None:
    """Two variables on two devices: a sharded Saver writes a file for each."""
    for device, name in enumerate("ab"):
        with tf.device(f"/cpu:{device}"):
            v1.get_variable(name, initializer=tf.constant([float(device)]), use_resource=False)


def _kernel(shape: Any, dtype: Any, partition_info: Any = None) -> Any:
    """The part of the kernel that a variable is."""
    starts = partition_info.var_offset if partition_info else [0, 0]
    part = KERNEL[tuple(slice(at, at + size) for at, size in zip(starts, shape, strict=True))]
    return tf.constant(part, dtype)


def saved(prefix: Path, *, build: Any = dense_graph, step: int | None = None, **saver: Any) -> Path:
    """Builds a graph, saves its variables with a `Saver` of these arguments; gives the prefix."""
    with tf.Graph().as_default(), v1.Session(config=_TWO_CPUS) as session:
        build()
        session.run(v1.global_variables_initializer())
        writer = v1.train.Saver(**saver)
        return Path(writer.save(session, str(prefix), global_step=step))


def saved_v1(prefix: Path, **saver: Any) -> Path:
    """The same in the first format."""
    return saved(prefix, write_version=v1.train.SaverDef.V1, **saver)

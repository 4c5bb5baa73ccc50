"""Keeps warnings to itself that TensorFlow logs for users, about calls that are ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Lets only errors into TensorFlow's log."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

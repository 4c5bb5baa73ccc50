"""Graphs of TensorFlow 1 as they lie on disk, with their weights; nothing of them is executed."""

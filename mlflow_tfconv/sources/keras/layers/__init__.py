"""Layers as an older Keras wrote them, in the words of today's; one file a family."""

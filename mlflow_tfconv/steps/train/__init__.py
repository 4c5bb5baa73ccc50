"""A model learns from the stream."""

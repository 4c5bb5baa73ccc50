"""A checkpoint becomes a SavedModel and ONNX."""

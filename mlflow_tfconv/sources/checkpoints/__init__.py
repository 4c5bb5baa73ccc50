"""TensorFlow's checkpoint files: found in a folder, checked for damage, read one tensor at a time."""

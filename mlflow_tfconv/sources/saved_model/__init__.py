"""SavedModels of TensorFlow 2: which of their functions is the model, and that part of them alone."""

"""What runs in the measured process: numpy and onnxruntime, TensorFlow only where a format needs it."""

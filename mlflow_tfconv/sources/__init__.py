"""What people have on disk, read into something that TensorFlow of today can run."""

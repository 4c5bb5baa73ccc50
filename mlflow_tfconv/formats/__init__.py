"""What a path holds: the format of a model on disk, told by its content."""

"""Model files as things that predict a batch, and whether two of them agree."""

"""Layers of a variant matched with those of the reference: which of them became slower."""

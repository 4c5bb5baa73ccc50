"""Keras of all ages, read into a live model of the Keras of today."""

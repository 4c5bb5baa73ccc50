"""Starts the workers, takes turns, and reads back what they measured."""

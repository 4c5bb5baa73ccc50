"""Trainings with other settings, side by side, of which the best goes on."""

"""The gate: which variant becomes a model version."""

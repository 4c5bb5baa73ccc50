"""Variants: pruned, quantized, audited."""

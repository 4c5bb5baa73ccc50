"""Layers that older Kerases had and today's has not, or has with another meaning."""

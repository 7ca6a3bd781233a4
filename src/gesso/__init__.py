"""Stable Diffusion 1.x, whole."""

__version__ = "0.1.0"

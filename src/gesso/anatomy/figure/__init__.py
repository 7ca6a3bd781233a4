"""The UNet drawn from its outline, as an SVG file."""

from gesso.anatomy.figure.page import draw

__all__ = ["draw"]

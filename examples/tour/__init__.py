"""The guided tour: how Stable Diffusion works, computed with the built-in model (docs/tour.md)."""

"""The algebra of noise: knows no network, no file and no image.

Everything here lives in one coordinate system, Karras et al.'s (2022): ``x = latents + sigma · noise``.
A network trained by Ho et al.'s recipe reads ``x / sqrt(1 + sigma²)``; only `denoiser` and the two ends
of a `plan` know that.
"""

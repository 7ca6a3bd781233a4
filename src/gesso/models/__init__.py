"""The mathematics of Stable Diffusion 1.x, as plain as a paper: no device, dtype, file or cache decisions.

State-dict names are Diffusers' (transformers' for the text encoder), so published weights load as they are.
"""

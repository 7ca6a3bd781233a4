"""Optimisations for the CPU: kernels compiled by Numba, and the modules that use them."""

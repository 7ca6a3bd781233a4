"""What makes the models fast on NVIDIA GPUs: fused kernels in Triton, and graphs of whole networks."""

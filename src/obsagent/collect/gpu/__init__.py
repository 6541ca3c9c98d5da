"""Reads NVIDIA GPUs through NVML, the library of their driver."""

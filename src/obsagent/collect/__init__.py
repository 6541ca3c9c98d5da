"""Reads what models run on and beside: the host, their processes, GPUs, servers with a page of metrics."""

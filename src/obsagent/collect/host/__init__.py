"""The machine itself, or what of it a container sees: processors, memory, disks, file systems, network, pressure."""

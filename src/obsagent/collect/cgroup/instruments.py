"""What is told of a cgroup."""

from __future__ import annotations

from obsagent.collect.instruments import counter, gauge

CPU_SECONDS = counter("cgroup_cpu_seconds", "seconds", "Processor time of a cgroup, by mode")
CPU_UTILIZATION = gauge(
    "cgroup_cpu_utilization", "ratio", "sum", "Processor time of a cgroup over time: 1 is one processor"
)
CPU_LIMIT = gauge("cgroup_cpu_limit", "processors", "sum", "Processors that a cgroup may use, the limits above it too")
PERIODS = counter("cgroup_cpu_periods", "periods", "Periods in which a cgroup with a quota ran")
THROTTLED = counter(
    "cgroup_cpu_throttled_periods", "periods", "Periods in which a cgroup used its quota up, and waited"
)
THROTTLED_SECONDS = counter("cgroup_cpu_throttled_seconds", "seconds", "Time that a cgroup's tasks waited for quota")
MEMORY = gauge("cgroup_memory_bytes", "bytes", "sum", "Memory charged to a cgroup, caches of files included")
WORKING_SET = gauge(
    "cgroup_memory_working_set_bytes", "bytes", "sum", "Memory charged less inactive files: what counts before a kill"
)
MEMORY_PEAK = gauge("cgroup_memory_peak_bytes", "bytes", "sum", "The most memory that was ever charged to a cgroup")
MEMORY_LIMIT = gauge(
    "cgroup_memory_limit_bytes", "bytes", "sum", "Memory that a cgroup may have, the limits above it too"
)
MEMORY_UTILIZATION = gauge("cgroup_memory_utilization", "ratio", "max", "The working set's share of the limit")
SWAP = gauge("cgroup_swap_bytes", "bytes", "sum", "Swap space charged to a cgroup")
SWAP_LIMIT = gauge("cgroup_swap_limit_bytes", "bytes", "sum", "Swap space that a cgroup may have")
LIMIT_HITS = counter("cgroup_memory_limit_hits", "times", "Times that a cgroup reached its limit of memory")
OOM_KILLS = counter("cgroup_oom_kills", "kills", "Processes of a cgroup that were killed for want of memory")
READ_BYTES = counter("cgroup_disk_read_bytes", "bytes", "Read from disks by a cgroup")
WRITE_BYTES = counter("cgroup_disk_write_bytes", "bytes", "Written to disks by a cgroup")
READS = counter("cgroup_disk_reads", "operations", "Read operations of a cgroup")
WRITES = counter("cgroup_disk_writes", "operations", "Write operations of a cgroup")
TASKS = gauge("cgroup_tasks", "tasks", "sum", "Processes and threads in a cgroup")
TASKS_LIMIT = gauge("cgroup_tasks_limit", "tasks", "sum", "Processes and threads that a cgroup may have")
PRESSURE = gauge("cgroup_pressure", "ratio", "max", "Share of the time in which a cgroup's tasks stood still")
PRESSURE_SECONDS = counter("cgroup_pressure_seconds", "seconds", "Time in which a cgroup's tasks stood still")

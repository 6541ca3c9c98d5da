"""csrc/rows.h for Cython."""


cdef extern from "rows.h" nogil:
    enum:
        OBS_KIND_HISTOGRAM
        OBS_KIND_COUNTER
        OBS_KIND_GAUGE

"""csrc/obs.h for Cython, and the one place where a status code becomes an exception."""

from libc.errno cimport errno


cdef extern from "obs.h" nogil:
    int OBS_OK
    int OBS_ERR_NOMEM
    int OBS_ERR_RANGE
    int OBS_ERR_CORRUPT
    int OBS_ERR_VERSION
    int OBS_ERR_FULL
    int OBS_ERR_SYSTEM
    int OBS_ERR_STATE
    const char *obs_strerror(int status)


cdef inline int check(int status) except -1:
    """Returns a status that is not negative; raises what a negative one means. Needs the GIL."""
    if status >= 0:
        return status
    return raise_status(status)


cdef inline int raise_status(int status) except -1:
    cdef int error_number = errno
    message = obs_strerror(status).decode("ascii")
    if status == OBS_ERR_NOMEM:
        raise MemoryError(message)
    if status == OBS_ERR_RANGE:
        raise ValueError(message)
    if status == OBS_ERR_SYSTEM:
        import os
        raise OSError(error_number, os.strerror(error_number))
    from obsagent.errors import CorruptData, UnsupportedVersion
    if status == OBS_ERR_VERSION:
        raise UnsupportedVersion(message)
    if status == OBS_ERR_CORRUPT:
        raise CorruptData(message)
    raise RuntimeError(message)

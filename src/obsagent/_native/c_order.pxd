"""csrc/order.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef extern from "order.h" nogil:
    const uint64_t OBS_ORDER_SIGNED
    int obs_order(const uint64_t *keys, size_t count, int64_t *order)
    void obs_order_places(const uint64_t *own, size_t own_count, const uint64_t *keys, size_t count, uint64_t flip,
                          bint or_equal, int64_t *places)

    ctypedef struct obs_order_column_t:
        const void *values
        uint8_t item
        bint is_signed

    int obs_order_pack(const obs_order_column_t *columns, size_t column_count, size_t count, uint64_t *packed)
    int obs_order_add(const uint64_t *values, size_t value_count, bint is_real, const int64_t *places,
                      size_t place_count, const int64_t *begins, size_t group_count, uint64_t *sums)

/* loghist_index.h: from a double's bits to its bucket, exactly. Private to loghist*.c.
 *
 * Bucket i of scale s is (2^(i/2^s), 2^((i+1)/2^s)]. A rounded logarithm puts close neighbours of a
 * bound on the wrong side (log2() nearly half of them), so none is taken. Instead the significand's
 * upper nine bits choose one of 512 cells, each of which holds at most one bound of scale 8. Adding
 * the cell's number to the bits lifts the sum over a multiple of 2^44 precisely at the first
 * significand above that bound; what stands above the low 44 bits is the bucket of scale 8, exponent
 * included. A coarser bucket is the finer one shifted right, hence the shift by 52 - scale.
 */
#ifndef OBS_LOGHIST_INDEX_H
#define OBS_LOGHIST_INDEX_H

#include "loghist_bounds.h"
#include "obs_port.h"

#define OBS_F64_SIGN_BIT (UINT64_C(1) << 63)
#define OBS_F64_INFINITY_BITS (UINT64_C(0x7ff) << 52)
#define OBS_F64_NAN_BITS (UINT64_C(0x7ff8) << 48)
#define OBS_F64_LEAST_NORMAL_BITS (UINT64_C(1) << 52)

/* An integer that orders finite doubles as they are ordered (and -0.0 below 0.0). Values are compared through
 * it because a processor told to flush subnormals to zero, as machine-learning libraries tell it for their
 * threads, calls distinct ones equal. */
static inline int64_t obs_f64_order(double value)
{
    int64_t bits = (int64_t)obs_f64_bits(value);
    return bits ^ ((bits >> 63) & INT64_MAX);
}

static inline double obs_f64_of_order(int64_t order)
{
    return obs_f64_of_bits((uint64_t)(order ^ ((order >> 63) & INT64_MAX)));
}

static inline int obs_f64_less(double left, double right)
{
    return obs_f64_order(left) < obs_f64_order(right);
}

/* The bits that a subnormal would have if the exponent could go below the format's: a negative number
 * in two's complement. Normal numbers stay as they are. */
static inline uint64_t obs_f64_normalised_bits(uint64_t bits)
{
    if (bits >= OBS_F64_LEAST_NORMAL_BITS)
        return bits;
    unsigned shift = (unsigned)__builtin_clzll(bits) - 11;
    return (bits << shift) - ((uint64_t)shift << 52);
}

/* Bucket of a normal positive number, or of normalised bits. */
static inline int32_t obs_bucket_of_bits(uint64_t bits, int scale)
{
    uint64_t sum = bits + OBS_LOGHIST_CELLS[(bits >> 43) & 511];
    return (int32_t)((int64_t)sum >> (52 - scale));
}

#endif

/* radix_sort.h: doubles as integers of the same order, and a radix sort of them.
 *
 * Key of a double: its bits with the sign bit set if it is positive, all bits inverted if it is
 * negative. Keys compare as unsigned integers exactly as the numbers do (-0.0 just below 0.0).
 *
 *     key  | common prefix | 22 or 24 bits: sorted, lowest digit first | the rest: told apart last |
 *
 * Measured values share their sign and most of their exponent, and the 22 bits below what all keys
 * have in common tell nearly all of them apart: two passes of 11 bits instead of eight of 8. One scan
 * then finds what is still out of order, which can only be inside a run of keys that agree so far, and
 * sorts the run: a short one by insertion, a long one in the same way, its common prefix being longer.
 * So the order is always exact, and the time linear whatever the values: there are at most three levels.
 */
#ifndef OBS_RADIX_SORT_H
#define OBS_RADIX_SORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OBS_RADIX_INSERTION_MAX 48 /* below this, clearing and adding up counters costs more than moves */
#define OBS_RADIX_WIDE_MIN 1024    /* from here on two 11-bit digits (4,096 counters) beat three 8-bit ones */
#define OBS_RADIX_COUNTERS 4096

static inline uint64_t obs_key_from_bits(uint64_t bits)
{
    uint64_t negative = 0 - (bits >> 63);
    return bits ^ (negative | UINT64_C(1) << 63);
}

static inline double obs_key_to_f64(uint64_t key)
{
    uint64_t negative = (key >> 63) - 1;
    uint64_t bits = key ^ (negative | UINT64_C(1) << 63);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t obs_key_from_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return obs_key_from_bits(bits);
}

static inline void obs_insertion_sort(uint64_t *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t hole = i;
        for (; hole > 0 && keys[hole - 1] > key; hole--)
            keys[hole] = keys[hole - 1];
        keys[hole] = key;
    }
}

/* Sorts by the bits of the digits above shift, stably, lowest digit first; counts all digits in one scan. Returns
 * keys or scratch, whichever holds the result. The constants fold into the two calls. */
__attribute__((always_inline)) static inline uint64_t *obs_radix_sort_digits(uint64_t *keys, uint64_t *scratch,
                                                                             size_t count, unsigned shift,
                                                                             unsigned digit_bits, unsigned digits)
{
    uint32_t offsets[OBS_RADIX_COUNTERS];
    const size_t values = (size_t)1 << digit_bits;
    memset(offsets, 0, digits * values * sizeof *offsets);
    for (size_t i = 0; i < count; i++) {
        for (unsigned digit = 0; digit < digits; digit++)
            offsets[digit * values + (keys[i] >> (shift + digit * digit_bits) & (values - 1))]++;
    }
    for (unsigned digit = 0; digit < digits; digit++, shift += digit_bits) {
        uint32_t *offset = offsets + digit * values;
        if (offset[keys[0] >> shift & (values - 1)] == count)
            continue; /* the same everywhere */
        uint32_t before = 0;
        for (size_t value = 0; value < values; value++) {
            uint32_t here = offset[value];
            offset[value] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++)
            scratch[offset[keys[i] >> shift & (values - 1)]++] = keys[i];
        uint64_t *sorted = scratch;
        scratch = keys;
        keys = sorted;
    }
    return keys;
}

static inline uint64_t *obs_radix_sort(uint64_t *keys, uint64_t *scratch, size_t count);

/* Sorts each run of keys that agree above shift and are out of order. */
static inline void obs_radix_sort_runs(uint64_t *keys, uint64_t *scratch, size_t count, unsigned shift)
{
    for (size_t i = 1; i < count; i++) {
        if (keys[i - 1] <= keys[i])
            continue;
        size_t begin = i - 1;
        size_t end = i + 1;
        while (begin > 0 && keys[begin - 1] >> shift == keys[i] >> shift)
            begin--;
        while (end < count && keys[end] >> shift == keys[i] >> shift)
            end++;
        if (obs_radix_sort(keys + begin, scratch, end - begin) == scratch)
            memcpy(keys + begin, scratch, (end - begin) * sizeof *keys);
        i = end - 1;
    }
}

/* Sorts count (< 2^32) keys; scratch has room for as many. Returns keys or scratch, whichever holds the result. */
static inline uint64_t *obs_radix_sort(uint64_t *keys, uint64_t *scratch, size_t count)
{
    if (count <= OBS_RADIX_INSERTION_MAX) {
        obs_insertion_sort(keys, count);
        return keys;
    }
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++)
        differing |= keys[i] ^ keys[0];
    if (differing == 0)
        return keys;
    unsigned width = 64 - (unsigned)__builtin_clzll(differing);
    unsigned sorted_bits = count < OBS_RADIX_WIDE_MIN ? 24 : 22;
    unsigned shift = width > sorted_bits ? width - sorted_bits : 0;
    uint64_t *sorted = count < OBS_RADIX_WIDE_MIN ? obs_radix_sort_digits(keys, scratch, count, shift, 8, 3)
                                                  : obs_radix_sort_digits(keys, scratch, count, shift, 11, 2);
    obs_radix_sort_runs(sorted, sorted == keys ? scratch : keys, count, shift);
    return sorted;
}

#endif

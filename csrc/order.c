#include "order.h"

#include "obs_alloc.h"
#include "radix_sort.h"

static unsigned bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static uint64_t low_bits(unsigned bits)
{
    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* Which bits are not the same in all keys; 0 too if the keys ascend. */
static uint64_t differing_bits(const uint64_t *keys, size_t count)
{
    uint64_t differing = 0;
    bool ascends = true;
    for (size_t i = 1; i < count; i++) {
        differing |= keys[i] ^ keys[0];
        ascends &= keys[i - 1] <= keys[i];
    }
    return ascends ? 0 : differing;
}

/* Whether the words' keys ascend, all of their bits taken into account. */
static bool is_in_order(const uint64_t *keys, const uint64_t *words, size_t count, uint64_t number_mask)
{
    for (size_t i = 1; i < count; i++)
        if (keys[words[i - 1] & number_mask] > keys[words[i] & number_mask])
            return false;
    return true;
}

/* By low bits that the words had no room for, then by the others. */
static uint64_t *sorted_twice(const uint64_t *keys, size_t count, unsigned number_bits, unsigned low, int64_t *order,
                              uint64_t *words, uint64_t *scratch)
{
    const uint64_t number_mask = low_bits(number_bits);
    for (size_t i = 0; i < count; i++)
        words[i] = (keys[i] & low_bits(low)) << number_bits | i;
    uint64_t *sorted = obs_radix_sort(words, scratch, count);
    for (size_t i = 0; i < count; i++)
        order[i] = (int64_t)(sorted[i] & number_mask);
    for (size_t i = 0; i < count; i++)
        words[i] = keys[order[i]] >> low << number_bits | i;
    sorted = obs_radix_sort(words, scratch, count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (uint64_t)order[sorted[i] & number_mask];
    return sorted;
}

int obs_order(const uint64_t *keys, size_t count, int64_t *order)
{
    if (count > UINT32_MAX)
        return OBS_ERR_RANGE;
    const unsigned number_bits = bits_of(count), room = 64 - number_bits;
    const unsigned width = bits_of(differing_bits(keys, count));
    if (width == 0) {
        for (size_t i = 0; i < count; i++)
            order[i] = (int64_t)i;
        return OBS_OK;
    }
    uint64_t *words = obs_malloc(2 * count * sizeof *words);
    if (words == NULL)
        return OBS_ERR_NOMEM;
    uint64_t *scratch = words + count;
    const unsigned low = width > room ? width - room : 0;
    for (size_t i = 0; i < count; i++)
        words[i] = keys[i] >> low << number_bits | i;
    uint64_t *sorted = obs_radix_sort(words, scratch, count);
    if (low > 0 && !is_in_order(keys, sorted, count, low_bits(number_bits)))
        sorted = sorted_twice(keys, count, number_bits, low, order, words, scratch);
    for (size_t i = 0; i < count; i++)
        order[i] = (int64_t)(sorted[i] & low_bits(number_bits));
    obs_free(words);
    return OBS_OK;
}

/* No branch, where it would be chance. */
static inline size_t is_before(uint64_t own, uint64_t key, bool or_equal)
{
    return (own < key) | (or_equal & (own == key));
}

/* How many numbers before end come before a key, of which begin surely do: in strides that double, then by halving. */
static inline size_t place_from(const uint64_t *own, size_t begin, size_t end, uint64_t key, uint64_t flip,
                                bool or_equal)
{
    size_t stride = 1;
    while (end - begin >= stride && is_before(own[begin + stride - 1] ^ flip, key, or_equal)) {
        begin += stride;
        stride *= 2;
    }
    size_t left = end - begin < stride ? end - begin : stride - 1;
    for (; left > 0; left /= 2) {
        size_t half = left - left / 2;
        begin += half * is_before(own[begin + half - 1] ^ flip, key, or_equal);
    }
    return begin;
}

void obs_order_places(const uint64_t *own, size_t own_count, const uint64_t *keys, size_t count, uint64_t flip,
                      bool or_equal, int64_t *places)
{
    size_t at = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[i] ^ flip;
        at = place_from(own, key < last ? 0 : at, own_count, key, flip, or_equal);
        last = key;
        places[i] = (int64_t)at;
    }
}

/* order.h: what sorts keys of 64 bits, and where keys stand among sorted ones.
 *
 * The order is found by the radix sort of radix_sort.h, of words that hold as many of the highest bits in which keys
 * differ at all as there is room for, and below them the number of each key:
 *
 *     word  | bits of the key | number of the key |
 *
 * so no two words are equal, and equal keys stay in their order. Keys that differ in more bits than there is room for
 * are mostly sorted all the same (hashes nearly always are); if not, they are sorted by their low bits before.
 */
#ifndef OBS_ORDER_H
#define OBS_ORDER_H

#include <stdbool.h>

#include "obs.h"

/* order[i] = the number of the i-th smallest key; of equal ones the first comes first. OBS_ERR_RANGE for 2^32 keys and
 * more, OBS_ERR_NOMEM. */
OBS_MUST_CHECK int obs_order(const uint64_t *keys, size_t count, int64_t *order);

/* places[i] = how many of own_count ascending numbers are less than keys[i]; with or_equal, not greater. Cheapest where
 * keys ascend too. Numbers that do not ascend give places that mean nothing, but none above own_count. flip is xored to
 * both: 0 for unsigned numbers, OBS_ORDER_SIGNED for those with a sign. */
void obs_order_places(const uint64_t *own, size_t own_count, const uint64_t *keys, size_t count, uint64_t flip,
                      bool or_equal, int64_t *places);

#define OBS_ORDER_SIGNED (UINT64_C(1) << 63)

/* One column of whole numbers: items of 1, 2, 4 or 8 bytes. */
typedef struct {
    const void *values;
    uint8_t item;
    bool is_signed;
} obs_order_column_t;

/* packed[i] = row i of some columns as one number that sorts as their rows do: of each column as many bits as its range
 * needs, the first one's highest. OBS_ERR_RANGE if they need more than 64, or for items of other sizes. */
OBS_MUST_CHECK int obs_order_pack(const obs_order_column_t *columns, size_t column_count, size_t count,
                                  uint64_t *packed);

/* Adds up groups of the numbers at some places, one behind the other: group g has those at places[begins[g]] to before
 * places[begins[g + 1]], the last one the rest. Whole numbers are added modulo 2^64, or with is_real as f64, in the
 * order of the places. OBS_ERR_RANGE for a place outside of values, or groups that do not ascend within place_count. */
OBS_MUST_CHECK int obs_order_add(const uint64_t *values, size_t value_count, bool is_real, const int64_t *places,
                                 size_t place_count, const int64_t *begins, size_t group_count, uint64_t *sums);

#endif

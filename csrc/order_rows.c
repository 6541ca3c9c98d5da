#include <string.h>

#include "order.h"

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

ALWAYS_INLINE uint64_t number_at(const void *values, size_t index, unsigned item, bool is_signed)
{
    switch (item) {
    case 1:
        return is_signed ? (uint64_t)((const int8_t *)values)[index] : ((const uint8_t *)values)[index];
    case 2:
        return is_signed ? (uint64_t)((const int16_t *)values)[index] : ((const uint16_t *)values)[index];
    case 4:
        return is_signed ? (uint64_t)((const int32_t *)values)[index] : ((const uint32_t *)values)[index];
    default:
        return ((const uint64_t *)values)[index];
    }
}

/* The lowest number of a column, and how many bits the others need above it; or all the bits behind those of before. */
typedef struct {
    uint64_t low;
    unsigned width;
    uint64_t *packed;
} packing_t;

typedef void (*pass_t)(const obs_order_column_t *column, size_t count, packing_t *packing, unsigned item,
                       bool is_signed);

ALWAYS_INLINE void measure(const obs_order_column_t *column, size_t count, packing_t *packing, unsigned item,
                           bool is_signed)
{
    const uint64_t flip = is_signed ? OBS_ORDER_SIGNED : 0;
    uint64_t low = UINT64_MAX, high = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = number_at(column->values, i, item, is_signed) ^ flip;
        low = number < low ? number : low;
        high = number > high ? number : high;
    }
    packing->low = low ^ flip;
    packing->width = high > low ? 64 - (unsigned)__builtin_clzll(high - low) : 0;
}

ALWAYS_INLINE void append(const obs_order_column_t *column, size_t count, packing_t *packing, unsigned item,
                          bool is_signed)
{
    const uint64_t low = packing->low;
    const unsigned width = packing->width;
    uint64_t *packed = packing->packed;
    if (width == 64) { /* it is the only one with any bits */
        for (size_t i = 0; i < count; i++)
            packed[i] = number_at(column->values, i, item, is_signed) - low;
        return;
    }
    for (size_t i = 0; width > 0 && i < count; i++)
        packed[i] = packed[i] << width | (number_at(column->values, i, item, is_signed) - low);
}

/* Each size of items has a loop of its own. */
ALWAYS_INLINE void pass_over(pass_t pass, const obs_order_column_t *column, size_t count, packing_t *packing)
{
    if (column->item == 1 && column->is_signed)
        pass(column, count, packing, 1, true);
    else if (column->item == 1)
        pass(column, count, packing, 1, false);
    else if (column->item == 2 && column->is_signed)
        pass(column, count, packing, 2, true);
    else if (column->item == 2)
        pass(column, count, packing, 2, false);
    else if (column->item == 4 && column->is_signed)
        pass(column, count, packing, 4, true);
    else if (column->item == 4)
        pass(column, count, packing, 4, false);
    else
        pass(column, count, packing, 8, column->is_signed);
}

int obs_order_pack(const obs_order_column_t *columns, size_t column_count, size_t count, uint64_t *packed)
{
    unsigned width = 0;
    memset(packed, 0, count * sizeof *packed);
    for (size_t index = 0; index < column_count; index++) {
        unsigned item = columns[index].item;
        if (item != 1 && item != 2 && item != 4 && item != 8)
            return OBS_ERR_RANGE;
        packing_t packing = {.packed = packed};
        pass_over(measure, &columns[index], count, &packing);
        width += packing.width;
        if (width > 64)
            return OBS_ERR_RANGE;
        pass_over(append, &columns[index], count, &packing);
    }
    return OBS_OK;
}

static uint64_t sum_of_whole(const uint64_t *values, const int64_t *places, size_t count)
{
    uint64_t sum = values[places[0]];
    for (size_t i = 1; i < count; i++)
        sum += values[places[i]];
    return sum;
}

static uint64_t sum_of_reals(const uint64_t *values, const int64_t *places, size_t count)
{
    double sum, value;
    memcpy(&sum, &values[places[0]], sizeof sum);
    for (size_t i = 1; i < count; i++) {
        memcpy(&value, &values[places[i]], sizeof value);
        sum += value;
    }
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits;
}

static bool are_groups(const int64_t *begins, size_t group_count, size_t place_count)
{
    bool ascend = group_count == 0 || (uint64_t)begins[group_count - 1] < place_count;
    for (size_t i = 1; i < group_count; i++)
        ascend &= (uint64_t)begins[i - 1] < (uint64_t)begins[i];
    return ascend;
}

int obs_order_add(const uint64_t *values, size_t value_count, bool is_real, const int64_t *places, size_t place_count,
                  const int64_t *begins, size_t group_count, uint64_t *sums)
{
    bool is_inside = are_groups(begins, group_count, place_count);
    for (size_t i = 0; i < place_count; i++)
        is_inside &= (uint64_t)places[i] < value_count;
    if (!is_inside)
        return OBS_ERR_RANGE;
    for (size_t group = 0; group < group_count; group++) {
        size_t begin = (size_t)begins[group], end = group + 1 < group_count ? (size_t)begins[group + 1] : place_count;
        sums[group] = is_real ? sum_of_reals(values, places + begin, end - begin)
                              : sum_of_whole(values, places + begin, end - begin);
    }
    return OBS_OK;
}

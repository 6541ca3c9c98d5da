/* loghist_check.h: what the histogram tests share: comparison, snapshots, sample values. */
#ifndef OBS_LOGHIST_CHECK_H
#define OBS_LOGHIST_CHECK_H

#include <math.h>
#include <string.h>

#include "check.h"
#include "loghist.h"

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline obs_loghist_t new_hist(int scale)
{
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, scale));
    return hist;
}

static inline void check_same_range(const obs_loghist_range_t *left, const obs_loghist_range_t *right)
{
    int32_t i = INT32_MIN, j = INT32_MIN;
    for (;; i++, j++) {
        uint64_t left_count = 0, right_count = 0;
        int more = obs_loghist_next(left, &i, &left_count);
        CHECK_EQ(more, obs_loghist_next(right, &j, &right_count));
        if (!more)
            return;
        CHECK_EQ(i, j);
        CHECK(left_count == right_count);
    }
}

/* Everything but the sum, bit for bit. */
static inline void check_same_counts(const obs_loghist_t *left, const obs_loghist_t *right)
{
    CHECK_EQ(left->scale, right->scale);
    CHECK(left->count == right->count);
    CHECK(left->zero_count == right->zero_count);
    CHECK(left->nan_count == right->nan_count);
    CHECK(left->positive_infinity_count == right->positive_infinity_count);
    CHECK(left->negative_infinity_count == right->negative_infinity_count);
    CHECK(bits_of(left->min) == bits_of(right->min));
    CHECK(bits_of(left->max) == bits_of(right->max));
    check_same_range(&left->positive, &right->positive);
    check_same_range(&left->negative, &right->negative);
}

static inline void check_same(const obs_loghist_t *left, const obs_loghist_t *right)
{
    check_same_counts(left, right);
    CHECK(bits_of(left->sum) == bits_of(right->sum) || (isnan(left->sum) && isnan(right->sum)));
}

static inline uint64_t total_of(const obs_loghist_range_t *range)
{
    uint64_t total = 0, count;
    for (int32_t index = INT32_MIN; obs_loghist_next(range, &index, &count); index++) {
        CHECK(count != 0);
        total += count;
    }
    return total;
}

static inline uint64_t count_at(const obs_loghist_range_t *range, int32_t bucket)
{
    uint64_t count;
    int32_t index = bucket;
    return obs_loghist_next(range, &index, &count) && index == bucket ? count : 0;
}

/* Sum of the parts, and pages that agree with the counts. */
static inline void check_consistent(const obs_loghist_t *hist)
{
    CHECK(total_of(&hist->positive) + total_of(&hist->negative) + hist->zero_count == hist->count);
}

static inline double normal_value(uint64_t *state)
{
    double radius = sqrt(-2 * log(1 - check_random_unit(state)));
    return radius * cos(6.283185307179586 * check_random_unit(state));
}

/* Any bit pattern at all, with the rare kinds made common. */
static inline double wild_value(uint64_t *state)
{
    static const double RARE[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 0x1p-1074, -0x1p-1074, 0x1.fffffffffffffp1023};
    uint64_t choice = check_random(state) % 16;
    if (choice < sizeof RARE / sizeof RARE[0])
        return RARE[choice];
    if (choice < 12)
        return exp(3 * normal_value(state));
    if (choice < 14)
        return normal_value(state);
    return double_of(check_random(state));
}

#endif

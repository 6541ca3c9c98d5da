/* Adding many values at once.
 *
 * A block of values is passed over twice: first every value becomes a bucket index, while sum, minimum and
 * maximum stay in registers; then the indices are counted. The first pass has no branch on the values. It
 * treats them all as normal positive numbers and learns afterwards, from the least and the greatest bits,
 * whether they were: positive doubles are ordered like their bits, and everything else (zeros, subnormals,
 * infinities, NaN, negative numbers) lies outside the normal ones' interval. A block that holds such a
 * value is gone over again, value by value, and split into the two ranges.
 *
 * Everything that can fail lies between the passes, when nothing of the block has been counted yet.
 */
#include <math.h>

#include "loghist.h"
#include "loghist_index.h"
#include "loghist_merge.h"
#include "loghist_range.h"
#include "obs_port.h"

enum { BLOCK = 512, LANES = 4 };

typedef struct {
    size_t count;
    int32_t first_page; /* of the least bucket */
    int32_t last_page;
    int32_t buckets[BLOCK];
} indices_t;

typedef struct {
    indices_t positive;
    indices_t negative;
    obs_loghist_t totals; /* of the block; its ranges stay empty */
} block_t;

static inline double value_at(const double *values, size_t i)
{
    double value;
    memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
    return value;
}

/* Least and greatest bits so far. */
typedef struct {
    uint64_t least;
    uint64_t greatest;
} extent_t;

static inline int32_t index_value(double value, int scale, extent_t *extent)
{
    uint64_t bits = obs_f64_bits(value);
    extent->least = bits < extent->least ? bits : extent->least;
    extent->greatest = bits > extent->greatest ? bits : extent->greatest;
    return obs_bucket_of_bits(bits, scale);
}

/* Returns whether all the values are normal and positive; if not, what it wrote means nothing. */
static int index_normal(const double *values, size_t value_count, int scale, block_t *block)
{
    extent_t extent = {UINT64_MAX, 0};
    double sums[LANES] = {0}; /* a chain of additions each, so that they overlap */
    size_t i = 0;
    for (; i + LANES <= value_count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            double value = value_at(values, i + lane);
            sums[lane] += value;
            block->positive.buckets[i + lane] = index_value(value, scale, &extent);
        }
    for (; i < value_count; i++) {
        double value = value_at(values, i);
        sums[0] += value;
        block->positive.buckets[i] = index_value(value, scale, &extent);
    }
    block->positive.count = value_count;
    block->positive.first_page = obs_page_number(obs_bucket_of_bits(extent.least, scale));
    block->positive.last_page = obs_page_number(obs_bucket_of_bits(extent.greatest, scale));
    block->negative.count = 0;
    block->totals = (obs_loghist_t){.count = value_count,
                                    .sum = (sums[0] + sums[1]) + (sums[2] + sums[3]),
                                    .min = obs_f64_of_bits(extent.least),
                                    .max = obs_f64_of_bits(extent.greatest)};
    return extent.least >= OBS_F64_LEAST_NORMAL_BITS && extent.greatest < OBS_F64_INFINITY_BITS;
}

static void set_pages(indices_t *indices)
{
    int32_t least = INT32_MAX, greatest = INT32_MIN;
    for (size_t i = 0; i < indices->count; i++) {
        int32_t bucket = indices->buckets[i];
        least = bucket < least ? bucket : least;
        greatest = bucket > greatest ? bucket : greatest;
    }
    indices->first_page = obs_page_number(least);
    indices->last_page = obs_page_number(greatest);
}

static void index_mixed(const double *values, size_t value_count, int scale, block_t *block)
{
    size_t positive = 0, negative = 0;
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    double sum = 0;
    obs_loghist_t totals = {0};
    for (size_t i = 0; i < value_count; i++) {
        double value = value_at(values, i);
        uint64_t bits = obs_f64_bits(value), magnitude = bits & ~OBS_F64_SIGN_BIT;
        if (OBS_UNLIKELY(magnitude >= OBS_F64_INFINITY_BITS)) {
            obs_loghist_count_nonfinite(&totals, bits, 1);
            continue;
        }
        int64_t order = magnitude == 0 ? 0 : obs_f64_order(value);
        least = order < least ? order : least;
        greatest = order > greatest ? order : greatest;
        sum += value;
        if (magnitude == 0) {
            totals.zero_count++;
            continue;
        }
        /* Written to both, kept in one: signs that alternate would cost a mispredicted branch each. */
        int32_t bucket = obs_bucket_of_bits(obs_f64_normalised_bits(magnitude), scale);
        block->positive.buckets[positive] = block->negative.buckets[negative] = bucket;
        positive += bits == magnitude;
        negative += bits != magnitude;
    }
    block->positive.count = positive;
    block->negative.count = negative;
    set_pages(&block->positive);
    set_pages(&block->negative);
    totals.count = totals.zero_count + positive + negative;
    totals.sum = sum;
    totals.min = totals.count == 0 ? INFINITY : obs_f64_of_order(least);
    totals.max = totals.count == 0 ? -INFINITY : obs_f64_of_order(greatest);
    block->totals = totals;
}

static int reserve_pages(obs_loghist_range_t *range, const indices_t *indices)
{
    if (indices->count == 0 || obs_range_pages_exist(range, indices->first_page, indices->last_page))
        return OBS_OK;
    for (size_t i = 0; i < indices->count; i++) {
        int32_t page_number = obs_page_number(indices->buckets[i]);
        if (OBS_LIKELY(obs_range_find(range, page_number) != SIZE_MAX))
            continue;
        int status = obs_range_reserve_page(range, page_number);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

static int reserve_block(obs_loghist_t *hist, const block_t *block)
{
    int status = obs_loghist_merge_reserve(hist, &block->totals);
    if (status == OBS_OK)
        status = reserve_pages(&hist->positive, &block->positive);
    if (status == OBS_OK)
        status = reserve_pages(&hist->negative, &block->negative);
    return status;
}

/* Counter of a bucket whose page exists. */
static inline size_t counter_of(const uint32_t *directory, int32_t first_page, int32_t bucket)
{
    size_t page_end = (size_t)directory[obs_page_number(bucket) - first_page] * OBS_LOGHIST_PAGE_BUCKETS;
    return page_end - OBS_LOGHIST_PAGE_BUCKETS + obs_page_offset(bucket);
}

static void count_indices(obs_loghist_range_t *range, const indices_t *indices)
{
    const uint32_t *directory = range->directory;
    int32_t first_page = range->first_page;
    if (range->wide) {
        uint64_t *counters = range->pages;
        for (size_t i = 0; i < indices->count; i++)
            counters[counter_of(directory, first_page, indices->buckets[i])]++;
    } else {
        uint32_t *counters = range->pages;
        for (size_t i = 0; i < indices->count; i++)
            counters[counter_of(directory, first_page, indices->buckets[i])]++;
    }
}

static int add_block(obs_loghist_t *hist, const double *values, size_t value_count)
{
    block_t block;
    if (!index_normal(values, value_count, hist->scale, &block))
        index_mixed(values, value_count, hist->scale, &block);
    if (reserve_block(hist, &block) != OBS_OK)
        return obs_loghist_add_many_reference(hist, values, value_count); /* as far as the memory reaches */
    count_indices(&hist->positive, &block.positive);
    count_indices(&hist->negative, &block.negative);
    obs_loghist_merge_totals(hist, &block.totals);
    return OBS_OK;
}

int obs_loghist_add_many(obs_loghist_t *hist, const double *values, size_t value_count)
{
    const uint8_t *at = (const uint8_t *)values;
    while (value_count != 0) {
        size_t size = value_count < BLOCK ? value_count : BLOCK;
        int status = add_block(hist, (const double *)at, size);
        if (status != OBS_OK)
            return status;
        at += size * sizeof(double);
        value_count -= size;
    }
    return OBS_OK;
}

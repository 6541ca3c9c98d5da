/* Adding many values at once.
 *
 * A block of values is passed over three times: for sum, minimum and maximum, which tell whether all are normal
 * positive numbers; to make a bucket index of every value; and to count the indices. None of it has a branch on the
 * values. A block that holds anything else (zeros, subnormals, infinities, NaN, negative numbers) is gone over value by
 * value, and split into the two ranges.
 *
 * Everything that can fail lies between the passes, when nothing of the block has been counted yet.
 */
#include <math.h>

#include "loghist.h"
#include "loghist_index.h"
#include "loghist_merge.h"
#include "loghist_range.h"
#include "obs_port.h"
#include "quad.h"

enum { BLOCK = 512 };

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

/* What the values of a block come to; min and max are as they are only if the sum is finite and all are positive. */
typedef struct {
    double sum, min, max;
} extent_t;

OBS_INLINED extent_t extent_of(const double *values, size_t value_count, const double *next, int is_wide)
{
    double first = value_at(values, 0);
    obs_quad_t sums = {0}, min = sums + first, max = min, four;
    size_t i = 0;
    for (; i + OBS_QUAD <= value_count; i += OBS_QUAD) {
        OBS_PREFETCH_READ((const uint8_t *)next + i * sizeof *next);
        obs_quad_load(&four, values, i);
        sums += four;
        obs_quad_widen(&min, &max, &four, is_wide);
    }
    for (; i < value_count; i++) {
        const obs_quad_t last = (obs_quad_t){0} + value_at(values, i);
        sums[0] += last[0];
        obs_quad_widen(&min, &max, &last, is_wide);
    }
    extent_t extent = {(sums[0] + sums[1]) + (sums[2] + sums[3]), first, first};
    for (size_t lane = 0; lane < OBS_QUAD; lane++) {
        extent.min = min[lane] < extent.min ? min[lane] : extent.min;
        extent.max = max[lane] > extent.max ? max[lane] : extent.max;
    }
    return extent;
}

typedef extent_t extent_pass_t(const double *values, size_t value_count, const double *next);

static extent_t extent_plain(const double *values, size_t value_count, const double *next)
{
    return extent_of(values, value_count, next, 0);
}

OBS_TARGET("avx2") static extent_t extent_wide(const double *values, size_t value_count, const double *next)
{
    return extent_of(values, value_count, next, 1);
}

static int is_normal_positive(double value)
{
    uint64_t bits = obs_f64_bits(value);
    return bits >= OBS_F64_LEAST_NORMAL_BITS && bits < OBS_F64_INFINITY_BITS;
}

/* Returns whether all the values are normal and positive (and their sum is finite); if not, what it wrote means
 * nothing. A sum is finite only without NaN and infinities, and a zero, subnormal or negative number is the least one,
 * whether or not the processor flushes subnormals. */
static int index_normal(const double *values, size_t value_count, int scale, const double *next, extent_pass_t *pass,
                        block_t *block)
{
    extent_t extent = pass(values, value_count, next);
    if (!isfinite(extent.sum) || !is_normal_positive(extent.min) || !is_normal_positive(extent.max))
        return 0;
    for (size_t i = 0; i < value_count; i++) {
        uint64_t bits = obs_f64_bits(value_at(values, i));
        OBS_KEEP_SCALAR(bits); /* to gather cells costs more than it saves */
        block->positive.buckets[i] = obs_bucket_of_bits(bits, scale);
    }
    block->positive.count = value_count;
    block->positive.first_page = obs_page_number(obs_bucket_of_bits(obs_f64_bits(extent.min), scale));
    block->positive.last_page = obs_page_number(obs_bucket_of_bits(obs_f64_bits(extent.max), scale));
    block->negative.count = 0;
    block->totals = (obs_loghist_t){.count = value_count, .sum = extent.sum, .min = extent.min, .max = extent.max};
    return 1;
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

/* Keeps the pages in ascending order, each once; returns how many they are then. */
static size_t insert_page(int32_t *pages, size_t page_count, int32_t page)
{
    size_t at = page_count;
    while (at > 0 && pages[at - 1] > page)
        at--;
    if (at > 0 && pages[at - 1] == page)
        return page_count;
    memmove(pages + at + 1, pages + at, (page_count - at) * sizeof *pages);
    pages[at] = page;
    return page_count + 1;
}

/* In ascending order, so that most blocks' counters lie as their buckets do: see layout_of. */
static int reserve_pages(obs_loghist_range_t *range, const indices_t *indices)
{
    if (indices->count == 0 || obs_range_pages_exist(range, indices->first_page, indices->last_page))
        return OBS_OK;
    int32_t missing[BLOCK];
    size_t missing_count = 0;
    for (size_t i = 0; i < indices->count; i++) {
        int32_t page_number = obs_page_number(indices->buckets[i]);
        if (OBS_UNLIKELY(obs_range_find(range, page_number) == SIZE_MAX))
            missing_count = insert_page(missing, missing_count, page_number);
    }
    for (size_t i = 0; i < missing_count; i++) {
        int status = obs_range_reserve_page(range, missing[i]);
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

/* How far the counter of a bucket is from the bucket, if that is the same for all that the block has, as it is where
 * their pages were made in ascending order; 0 of `is_straight` if it is not. */
typedef struct {
    ptrdiff_t distance;
    int is_straight;
} layout_t;

static layout_t layout_of(const obs_loghist_range_t *range, const indices_t *indices)
{
    const uint32_t *directory = range->directory + (indices->first_page - range->first_page);
    ptrdiff_t page = (ptrdiff_t)directory[0] - 1;
    for (int32_t i = 1; i <= indices->last_page - indices->first_page; i++)
        if (directory[i] != directory[0] + (uint32_t)i)
            return (layout_t){0};
    return (layout_t){(page - indices->first_page) * OBS_LOGHIST_PAGE_BUCKETS, directory[0] != 0};
}

/* Counter of a bucket whose page exists. */
static inline size_t counter_of(const uint32_t *directory, int32_t first_page, int32_t bucket)
{
    size_t page_end = (size_t)directory[obs_page_number(bucket) - first_page] * OBS_LOGHIST_PAGE_BUCKETS;
    return page_end - OBS_LOGHIST_PAGE_BUCKETS + obs_page_offset(bucket);
}

static void count_indices(obs_loghist_range_t *range, const indices_t *indices)
{
    if (indices->count == 0)
        return;
    const uint32_t *directory = range->directory;
    int32_t first_page = range->first_page;
    layout_t layout = layout_of(range, indices);
    if (range->wide) {
        uint64_t *counters = range->pages;
        for (size_t i = 0; i < indices->count; i++)
            counters[counter_of(directory, first_page, indices->buckets[i])]++;
    } else if (layout.is_straight) {
        uint32_t *counters = range->pages;
        for (size_t i = 0; i < indices->count; i++)
            counters[indices->buckets[i] + layout.distance]++;
    } else {
        uint32_t *counters = range->pages;
        for (size_t i = 0; i < indices->count; i++)
            counters[counter_of(directory, first_page, indices->buckets[i])]++;
    }
}

static int add_block(obs_loghist_t *hist, const double *values, size_t value_count, const double *next)
{
    block_t block;
    extent_pass_t *pass = OBS_CPU_HAS("avx2") ? extent_wide : extent_plain;
    if (!index_normal(values, value_count, hist->scale, next, pass, &block))
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
        size_t next = value_count < 2 * BLOCK ? 0 : BLOCK * sizeof(double);
        int status = add_block(hist, (const double *)at, size, (const double *)(at + next));
        if (status != OBS_OK)
            return status;
        at += size * sizeof(double);
        value_count -= size;
    }
    return OBS_OK;
}

#include "moments.h"

#include <float.h>
#include <math.h>

#include "obs_port.h"

enum { BLOCK = 512 };

void obs_moments_init(obs_moments_t *moments)
{
    *moments = (obs_moments_t){.min = INFINITY, .max = -INFINITY};
}

static int has_room(const obs_moments_t *moments, uint64_t samples)
{
    return samples <= UINT64_MAX - obs_moments_samples(moments);
}

/* Makes rounding and overflow keep the invariants. */
static void settle(obs_moments_t *moments)
{
    double mean = moments->mean;
    mean = mean < moments->min ? moments->min : mean;
    moments->mean = (mean > moments->max ? moments->max : mean) + 0.0; /* -0.0 becomes 0.0 */
    moments->m2 = moments->m2 <= DBL_MAX ? fmax(moments->m2, 0) + 0.0 : INFINITY;
    moments->m4 = moments->m4 <= DBL_MAX ? fmax(moments->m4, 0) + 0.0 : INFINITY;
    moments->m3 = isfinite(moments->m3) ? moments->m3 + 0.0 : (double)NAN;
}

/* ---- Merging (Pebay 2008, equations 2.1 and 3.1 for two sets) ------------------------------------ */

static double merged_mean(const obs_moments_t *a, const obs_moments_t *b, double share_a, double share_b)
{
    double distance = b->mean - a->mean;
    if (OBS_UNLIKELY(!isfinite(distance)))
        return a->mean * share_a + b->mean * share_b;
    return share_b <= share_a ? a->mean + distance * share_b : b->mean - distance * share_a;
}

/* The finite values of both; neither is empty. */
static void merge_finite(obs_moments_t *into, const obs_moments_t *from)
{
    obs_moments_t a = *into, b = *from;
    double n = (double)a.count + (double)b.count, share_a = (double)a.count / n, share_b = (double)b.count / n;
    double d = b.mean - a.mean, d2 = d * d, spread = d2 * (double)a.count * share_b;
    into->count = a.count + b.count;
    into->min = a.min < b.min ? a.min : b.min;
    into->max = a.max > b.max ? a.max : b.max;
    into->mean = merged_mean(&a, &b, share_a, share_b);
    into->m2 = a.m2 + b.m2 + spread;
    into->m3 = a.m3 + b.m3 + spread * d * (share_a - share_b) + 3 * d * (share_a * b.m2 - share_b * a.m2);
    into->m4 = a.m4 + b.m4 + spread * d2 * (share_a * share_a - share_a * share_b + share_b * share_b) +
               6 * d2 * (share_a * share_a * b.m2 + share_b * share_b * a.m2) +
               4 * d * (share_a * b.m3 - share_b * a.m3);
    settle(into);
}

static void take_finite(obs_moments_t *into, const obs_moments_t *from)
{
    if (from->count == 0)
        return;
    if (into->count > 0) {
        merge_finite(into, from);
        return;
    }
    into->count = from->count;
    into->mean = from->mean;
    into->m2 = from->m2;
    into->m3 = from->m3;
    into->m4 = from->m4;
    into->min = from->min;
    into->max = from->max;
}

int obs_moments_merge(obs_moments_t *into, const obs_moments_t *from)
{
    if (!has_room(into, obs_moments_samples(from)))
        return OBS_ERR_RANGE;
    obs_moments_t other = *from; /* which may be into */
    take_finite(into, &other);
    into->null_count += other.null_count;
    into->nan_count += other.nan_count;
    into->positive_infinity_count += other.positive_infinity_count;
    into->negative_infinity_count += other.negative_infinity_count;
    into->wrong_type_count += other.wrong_type_count;
    return OBS_OK;
}

/* ---- Adding -------------------------------------------------------------------------------------- */

static void count_not_finite(obs_moments_t *moments, double value, uint64_t weight)
{
    if (isnan(value))
        moments->nan_count += weight;
    else if (value > 0)
        moments->positive_infinity_count += weight;
    else
        moments->negative_infinity_count += weight;
}

int obs_moments_add(obs_moments_t *moments, double value, uint64_t weight)
{
    if (!has_room(moments, weight))
        return OBS_ERR_RANGE;
    if (weight == 0)
        return OBS_OK;
    if (!isfinite(value)) {
        count_not_finite(moments, value, weight);
        return OBS_OK;
    }
    value += 0.0;
    take_finite(moments, &(obs_moments_t){.count = weight, .mean = value, .min = value, .max = value});
    return OBS_OK;
}

static inline double value_at(const double *values, size_t i)
{
    double value;
    memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
    return value;
}

/* Four values side by side. Eight chains of sums, two of these each, hide the latency of an addition, and as every lane
 * is a chain of its own, all instruction sets give the same bits. */
typedef double quad_t __attribute__((vector_size(32)));
typedef double quad_anywhere_t __attribute__((vector_size(32), aligned(1), may_alias));
typedef int64_t quad_mask_t __attribute__((vector_size(32)));

enum { QUAD = 4, QUADS = 2, LANES = QUAD * QUADS };

#define INLINED __attribute__((always_inline)) static inline

INLINED void load_lanes(quad_t lanes[QUADS], const double *values, size_t i)
{
    const quad_anywhere_t *from = (const quad_anywhere_t *)(const void *)((const uint8_t *)values + i * sizeof *values);
    lanes[0] = from[0];
    lanes[1] = from[1];
}

/* The last, fewer than LANES; padding stands in for the others. */
INLINED void load_rest(quad_t lanes[QUADS], const double *values, size_t i, size_t count, double padding)
{
    double rest[LANES];
    for (size_t lane = 0; lane < LANES; lane++)
        rest[lane] = i + lane < count ? value_at(values, i + lane) : padding;
    load_lanes(lanes, rest, 0);
}

INLINED double lane_sum(const quad_t lanes[QUADS])
{
    quad_t sums = lanes[0] + lanes[1];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

typedef struct {
    double sum; /* finite only if every value is; not finite also where finite ones overflow */
    double min;
    double max;
} extent_t;

typedef struct {
    quad_t sum[QUADS], min[QUADS], max[QUADS];
} extent_lanes_t;

INLINED void widen_extent(extent_lanes_t *lanes, const quad_t value[QUADS])
{
    for (size_t part = 0; part < QUADS; part++) {
        quad_mask_t less = value[part]<lanes->min[part], more = value[part]> lanes->max[part];
        quad_mask_t bits = (quad_mask_t)value[part];
        lanes->min[part] = (quad_t)((bits & less) | ((quad_mask_t)lanes->min[part] & ~less));
        lanes->max[part] = (quad_t)((bits & more) | ((quad_mask_t)lanes->max[part] & ~more));
    }
}

INLINED extent_t extent_of(const double *values, size_t count)
{
    double first = value_at(values, 0);
    const quad_t zeros = {0}, firsts = zeros + first;
    extent_lanes_t lanes = {{zeros, zeros}, {firsts, firsts}, {firsts, firsts}};
    quad_t value[QUADS];
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        load_lanes(value, values, i);
        lanes.sum[0] += value[0];
        lanes.sum[1] += value[1];
        widen_extent(&lanes, value);
    }
    if (i < count) {
        load_rest(value, values, i, count, 0);
        lanes.sum[0] += value[0];
        lanes.sum[1] += value[1];
        load_rest(value, values, i, count, first);
        widen_extent(&lanes, value);
    }
    extent_t extent = {lane_sum(lanes.sum), first, first};
    for (size_t lane = 0; lane < LANES; lane++) {
        double least = lanes.min[lane / QUAD][lane % QUAD], greatest = lanes.max[lane / QUAD][lane % QUAD];
        extent.min = least < extent.min ? least : extent.min;
        extent.max = greatest > extent.max ? greatest : extent.max;
    }
    return extent;
}

typedef struct {
    double s1, s2, s3, s4; /* sums of powers of the deviations */
} powers_t;

typedef struct {
    quad_t s1[QUADS], s2[QUADS], s3[QUADS], s4[QUADS];
} power_lanes_t;

INLINED void add_powers(power_lanes_t *lanes, const quad_t value[QUADS], double mean)
{
    for (size_t part = 0; part < QUADS; part++) {
        quad_t d = value[part] - mean, d2 = d * d;
        lanes->s1[part] += d;
        lanes->s2[part] += d2;
        lanes->s3[part] += d2 * d;
        lanes->s4[part] += d2 * d2;
    }
}

INLINED powers_t powers_around(const double *values, size_t count, double mean)
{
    const quad_t zeros = {0};
    power_lanes_t lanes = {{zeros, zeros}, {zeros, zeros}, {zeros, zeros}, {zeros, zeros}};
    quad_t value[QUADS];
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        load_lanes(value, values, i);
        add_powers(&lanes, value, mean);
    }
    if (i < count) {
        load_rest(value, values, i, count, mean);
        add_powers(&lanes, value, mean);
    }
    return (powers_t){lane_sum(lanes.s1), lane_sum(lanes.s2), lane_sum(lanes.s3), lane_sum(lanes.s4)};
}

/* The two passes, for one instruction set. */
typedef struct {
    extent_t (*extent)(const double *values, size_t count);
    powers_t (*powers)(const double *values, size_t count, double mean);
} passes_t;

static extent_t extent_plain(const double *values, size_t count)
{
    return extent_of(values, count);
}

static powers_t powers_plain(const double *values, size_t count, double mean)
{
    return powers_around(values, count, mean);
}

OBS_TARGET("avx2") static extent_t extent_wide(const double *values, size_t count)
{
    return extent_of(values, count);
}

OBS_TARGET("avx2") static powers_t powers_wide(const double *values, size_t count, double mean)
{
    return powers_around(values, count, mean);
}

static const passes_t PLAIN = {extent_plain, powers_plain}, WIDE = {extent_wide, powers_wide};

/* Where the sum of finite values overflows, their mean does not. */
static double mean_of_large(const double *values, size_t count)
{
    double mean = 0;
    for (size_t i = 0; i < count; i++)
        mean += value_at(values, i) / (double)count;
    return mean;
}

/* Adds finite values, count of them > 0, whose extent is known. */
static void add_finite(obs_moments_t *moments, const double *values, size_t count, const extent_t *extent,
                       const passes_t *passes)
{
    double n = (double)count;
    obs_moments_t block = {.count = count, .min = extent->min + 0.0, .max = extent->max + 0.0};
    block.mean = isfinite(extent->sum) ? extent->sum / n : mean_of_large(values, count);
    settle(&block); /* a constant's mean is the constant */
    powers_t powers = passes->powers(values, count, block.mean);
    double e = powers.s1 / n; /* how far the rounded mean is off */
    block.m2 = powers.s2 - e * powers.s1;
    block.m3 = powers.s3 - 3 * e * powers.s2 + 2 * e * e * powers.s1;
    block.m4 = powers.s4 - 4 * e * powers.s3 + 6 * e * e * powers.s2 - 3 * e * e * e * powers.s1;
    settle(&block);
    take_finite(moments, &block);
}

static void add_block(obs_moments_t *moments, const double *values, size_t count, const passes_t *passes)
{
    extent_t extent = passes->extent(values, count);
    if (OBS_LIKELY(isfinite(extent.sum))) {
        add_finite(moments, values, count, &extent, passes);
        return;
    }
    double finite[BLOCK];
    size_t finite_count = 0;
    for (size_t i = 0; i < count; i++) {
        double value = value_at(values, i);
        if (isfinite(value))
            finite[finite_count++] = value;
        else
            count_not_finite(moments, value, 1);
    }
    extent = passes->extent(finite, finite_count);
    if (finite_count > 0)
        add_finite(moments, finite, finite_count, &extent, passes);
}

int obs_moments_add_many(obs_moments_t *moments, const double *values, size_t value_count)
{
    if (!has_room(moments, value_count))
        return OBS_ERR_RANGE;
    const passes_t *passes = OBS_CPU_HAS("avx2") ? &WIDE : &PLAIN;
    for (size_t done = 0; done < value_count; done += BLOCK) {
        size_t left = value_count - done;
        const double *block = (const double *)(const void *)((const uint8_t *)values + done * sizeof *values);
        add_block(moments, block, left < BLOCK ? left : BLOCK, passes);
    }
    return OBS_OK;
}

int obs_moments_add_many_reference(obs_moments_t *moments, const double *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        int status = obs_moments_add(moments, value_at(values, i), 1);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

int obs_moments_add_nulls(obs_moments_t *moments, uint64_t count)
{
    if (!has_room(moments, count))
        return OBS_ERR_RANGE;
    moments->null_count += count;
    return OBS_OK;
}

int obs_moments_add_wrong_types(obs_moments_t *moments, uint64_t count)
{
    if (!has_room(moments, count))
        return OBS_ERR_RANGE;
    moments->wrong_type_count += count;
    return OBS_OK;
}

/* ---- Answers ------------------------------------------------------------------------------------- */

double obs_moments_variance(const obs_moments_t *moments)
{
    return moments->count == 0 ? (double)NAN : moments->m2 / (double)moments->count;
}

double obs_moments_skewness(const obs_moments_t *moments)
{
    double variance = obs_moments_variance(moments);
    return variance > 0 ? moments->m3 / (double)moments->count / variance / sqrt(variance) : (double)NAN;
}

double obs_moments_kurtosis(const obs_moments_t *moments)
{
    double variance = obs_moments_variance(moments);
    return variance > 0 ? moments->m4 / (double)moments->count / variance / variance - 3 : (double)NAN;
}

#include "moments.h"

#include <float.h>
#include <math.h>

#include "obs_port.h"
#include "quad.h"

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

/* Sums of the powers of the deviations from a centre; s1 is finite only if every value is, and not even then where
 * finite ones overflow. */
typedef struct {
    double s1, s2, s3, s4;
    double min, max;
} sums_t;

typedef struct {
    obs_quad_t s1, s2, s3, s4, min, max;
} sums_of_lanes_t;

OBS_INLINED void add_powers(sums_of_lanes_t *lanes, const obs_quad_t *values, double centre)
{
    obs_quad_t d = *values - centre, d2 = d * d;
    lanes->s1 += d;
    lanes->s2 += d2;
    lanes->s3 += d2 * d;
    lanes->s4 += d2 * d2;
}

OBS_INLINED double lane_sum(const obs_quad_t *sums)
{
    return ((*sums)[0] + (*sums)[2]) + ((*sums)[1] + (*sums)[3]);
}

OBS_INLINED sums_t sums_around(const double *values, size_t count, double centre, const double *next, int is_wide)
{
    double first = value_at(values, 0);
    const obs_quad_t zeros = {0}, firsts = zeros + first;
    sums_of_lanes_t lanes = {zeros, zeros, zeros, zeros, firsts, firsts};
    obs_quad_t four;
    size_t i = 0;
    for (; i + OBS_QUAD <= count; i += OBS_QUAD) {
        OBS_PREFETCH_READ((const uint8_t *)next + i * sizeof *next);
        obs_quad_load(&four, values, i);
        add_powers(&lanes, &four, centre);
        obs_quad_widen(&lanes.min, &lanes.max, &four, is_wide);
    }
    if (i < count) {
        obs_quad_load_rest(&four, values, i, count, centre);
        add_powers(&lanes, &four, centre);
        obs_quad_load_rest(&four, values, i, count, first);
        obs_quad_widen(&lanes.min, &lanes.max, &four, is_wide);
    }
    sums_t sums = {lane_sum(&lanes.s1), lane_sum(&lanes.s2), lane_sum(&lanes.s3), lane_sum(&lanes.s4), first, first};
    for (size_t lane = 0; lane < OBS_QUAD; lane++) {
        sums.min = lanes.min[lane] < sums.min ? lanes.min[lane] : sums.min;
        sums.max = lanes.max[lane] > sums.max ? lanes.max[lane] : sums.max;
    }
    return sums;
}

/* next: as many values that will be read soon, or the same ones. */
typedef sums_t pass_t(const double *values, size_t count, double centre, const double *next);

static sums_t pass_plain(const double *values, size_t count, double centre, const double *next)
{
    return sums_around(values, count, centre, next, 0);
}

OBS_TARGET("avx2") static sums_t pass_wide(const double *values, size_t count, double centre, const double *next)
{
    return sums_around(values, count, centre, next, 1);
}

/* The mean of eight of the values, spread over all of them; equal ones give themselves, and nothing overflows. */
static double middle_of(const double *values, size_t count)
{
    enum { SPREAD = 8 };
    double some[SPREAD];
    for (size_t i = 0; i < SPREAD; i++)
        some[i] = value_at(values, (2 * i + 1) * count / (2 * SPREAD)) / SPREAD;
    return ((some[0] + some[1]) + (some[2] + some[3])) + ((some[4] + some[5]) + (some[6] + some[7]));
}

/* Where the sum of finite values overflows, their mean does not. */
static double mean_of_large(const double *values, size_t count)
{
    double mean = 0;
    for (size_t i = 0; i < count; i++)
        mean += value_at(values, i) / (double)count;
    return mean;
}

/* Adds finite values, count of them > 0, whose sums around a centre are known: they are moved to the mean. The eight
 * values of which the centre is the mean are among them, so that it can only lie far off where they do: that costs the
 * sums six bits at most (a factor of BLOCK / 8). */
static void add_finite(obs_moments_t *moments, const double *values, size_t count, double centre, sums_t sums)
{
    double n = (double)count;
    obs_moments_t block = {.count = count, .min = sums.min + 0.0, .max = sums.max + 0.0};
    block.mean = isfinite(sums.s1) ? centre + sums.s1 / n : mean_of_large(values, count);
    settle(&block);         /* a constant's mean is the constant */
    double e = sums.s1 / n; /* how far the mean is from where the sums are about */
    block.m2 = sums.s2 - e * sums.s1;
    block.m3 = sums.s3 - 3 * e * sums.s2 + 2 * e * e * sums.s1;
    block.m4 = sums.s4 - 4 * e * sums.s3 + 6 * e * e * sums.s2 - 3 * e * e * e * sums.s1;
    settle(&block);
    take_finite(moments, &block);
}

static void add_block(obs_moments_t *moments, const double *values, size_t count, const double *next, pass_t *pass)
{
    double finite[BLOCK], centre = middle_of(values, count);
    sums_t sums = pass(values, count, centre, next);
    if (OBS_LIKELY(isfinite(sums.s1))) {
        add_finite(moments, values, count, centre, sums);
        return;
    }
    size_t finite_count = 0;
    for (size_t i = 0; i < count; i++) {
        double value = value_at(values, i);
        if (isfinite(value))
            finite[finite_count++] = value;
        else
            count_not_finite(moments, value, 1);
    }
    if (finite_count == 0)
        return;
    centre = middle_of(finite, finite_count);
    sums = pass(finite, finite_count, centre, finite);
    add_finite(moments, finite, finite_count, centre, sums);
}

int obs_moments_add_many(obs_moments_t *moments, const double *values, size_t value_count)
{
    if (!has_room(moments, value_count))
        return OBS_ERR_RANGE;
    pass_t *pass = OBS_CPU_HAS("avx2") ? pass_wide : pass_plain;
    for (size_t done = 0; done < value_count; done += BLOCK) {
        size_t left = value_count - done;
        const double *block = (const double *)(const void *)((const uint8_t *)values + done * sizeof *values);
        add_block(moments, block, left < BLOCK ? left : BLOCK, left < 2 * BLOCK ? block : block + BLOCK, pass);
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

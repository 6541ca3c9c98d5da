/* tdigest_builder.h: the pass that forms centroids; private to tdigest.c.
 *
 * A builder is given values and centroids in ascending order and joins them into new centroids. The
 * unit of k turns into a count without a logarithm per centroid: one unit further multiplies the odds
 * q/(1-q) by e^(Z/compression) = 1 + growth, so that a centroid that begins after s values, with r
 * values to come, may hold
 *
 *     growth * s * r / (s + r + growth * s)
 *
 * of them. That is less than r and 0 for s = 0: the first value and the last one stay alone.
 */
#ifndef OBS_TDIGEST_BUILDER_H
#define OBS_TDIGEST_BUILDER_H

#include <assert.h>
#include <float.h>
#include <math.h>

#include "obs_alloc.h"
#include "radix_sort.h"
#include "tdigest.h"

typedef struct {
    obs_tdigest_centroid_t *centroids; /* finished ones */
    size_t count;
    size_t capacity;
    uint64_t total;  /* weight of everything that will be given */
    uint64_t before; /* weight in finished centroids */
    double growth;
    double scale; /* below 1 if sums of weight * value could overflow */
    /* the open centroid: */
    uint64_t weight;
    uint64_t room; /* weight that it may still take */
    double sum;    /* of value * weight * scale */
    double first;
    double last;
} obs_tdigest_builder_t;

/* items: how many values and centroids more than the digest's own will be given, at most. */
static inline int obs_tdigest_builder_begin(obs_tdigest_builder_t *builder, const obs_tdigest_t *digest, uint64_t total,
                                            size_t items, double largest)
{
    size_t capacity = OBS_TDIGEST_CENTROIDS_MAX(digest->compression);
    if (items < capacity - digest->centroid_count)
        capacity = digest->centroid_count + items;
    *builder = (obs_tdigest_builder_t){.capacity = capacity, .total = total};
    builder->centroids = obs_malloc(capacity * sizeof *builder->centroids);
    if (builder->centroids == NULL)
        return OBS_ERR_NOMEM;
    if (total > digest->compression) {
        double normalizer = 4 * log((double)total / digest->compression) + 24;
        builder->growth = expm1(normalizer / digest->compression);
    }
    builder->scale = largest > DBL_MAX * 0x1p-64 ? 0x1p-65 : 1;
    return OBS_OK;
}

static inline void obs_tdigest_builder_close(obs_tdigest_builder_t *builder)
{
    /* Rounding must not push a mean past what it is the mean of: order and constants stay exact. */
    double mean = builder->sum / (double)builder->weight / builder->scale;
    if (!(mean >= builder->first))
        mean = builder->first;
    if (mean > builder->last)
        mean = builder->last;
    assert(builder->count < builder->capacity);
    builder->centroids[builder->count++] = (obs_tdigest_centroid_t){mean + 0.0, builder->weight};
    builder->before += builder->weight;
    builder->weight = 0;
}

/* Makes value the first of a new centroid, with as much of weight as that may hold but at least least. */
static inline uint64_t obs_tdigest_builder_open(obs_tdigest_builder_t *builder, double value, uint64_t least,
                                                uint64_t weight)
{
    if (builder->weight > 0)
        obs_tdigest_builder_close(builder);
    double before = (double)builder->before;
    double after = (double)(builder->total - builder->before);
    double share = builder->growth * before / (before + after + builder->growth * before);
    uint64_t most = (uint64_t)(share * after);
    uint64_t taken = weight < most ? weight : most;
    if (taken < least)
        taken = least;
    builder->weight = taken;
    builder->room = most > taken ? most - taken : 0;
    builder->sum = value * builder->scale * (double)taken;
    builder->first = value;
    builder->last = value;
    return taken;
}

static inline void obs_tdigest_builder_join(obs_tdigest_builder_t *builder, double value, uint64_t weight)
{
    builder->weight += weight;
    builder->room -= weight;
    builder->sum += value * builder->scale * (double)weight;
    builder->last = value;
}

/* A centroid is never cut: only its mean is known. */
static inline void obs_tdigest_builder_take_centroid(obs_tdigest_builder_t *builder,
                                                     const obs_tdigest_centroid_t *centroid)
{
    if (centroid->weight <= builder->room)
        obs_tdigest_builder_join(builder, centroid->mean, centroid->weight);
    else
        obs_tdigest_builder_open(builder, centroid->mean, centroid->weight, centroid->weight);
}

/* weight copies of one value, cut where single copies would be. */
static inline void obs_tdigest_builder_take_copies(obs_tdigest_builder_t *builder, double value, uint64_t weight)
{
    while (weight > 0) {
        uint64_t taken = weight < builder->room ? weight : builder->room;
        if (taken > 0)
            obs_tdigest_builder_join(builder, value, taken);
        else
            taken = obs_tdigest_builder_open(builder, value, 1, weight);
        weight -= taken;
    }
}

/* Takes the keys below bound from the front of an ascending run and returns their number. This is the
 * loop that every value passes. */
static inline size_t obs_tdigest_builder_take_keys(obs_tdigest_builder_t *builder, const uint64_t *keys,
                                                   size_t key_count, uint64_t bound)
{
    size_t taken = 0;
    while (taken < key_count && keys[taken] < bound) {
        if (builder->room == 0) {
            obs_tdigest_builder_open(builder, obs_key_to_f64(keys[taken++]), 1, 1);
            continue;
        }
        size_t end = builder->room < key_count - taken ? taken + (size_t)builder->room : key_count;
        size_t at = taken;
        double scale = builder->scale;
        double sum = builder->sum;
        for (; at < end && keys[at] < bound; at++)
            sum += obs_key_to_f64(keys[at]) * scale;
        builder->sum = sum;
        builder->weight += at - taken;
        builder->room -= at - taken;
        builder->last = obs_key_to_f64(keys[at - 1]);
        taken = at;
    }
    return taken;
}

static inline void obs_tdigest_builder_end(obs_tdigest_builder_t *builder, obs_tdigest_t *digest)
{
    obs_tdigest_builder_close(builder);
    assert(builder->before == builder->total);
    obs_free(digest->centroids);
    digest->centroids = builder->centroids;
    digest->centroid_count = (uint32_t)builder->count;
    digest->centroid_capacity = (uint32_t)builder->capacity;
}

#endif

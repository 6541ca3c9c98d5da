/* tdigest_check.h: values, digests of them and the invariants of tdigest.h, for the t-digest's tests. */
#ifndef OBS_TDIGEST_CHECK_H
#define OBS_TDIGEST_CHECK_H

#include <math.h>
#include <string.h>

#include "check.h"
#include "tdigest.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define MANY 100000

static double values[MANY];

/* Positive and skewed, with a long tail and both signs: none of them twice. */
static inline void fill_values(size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = exp(6 * check_random_unit(&seed)) - 20;
}

static inline obs_tdigest_t digest_of(const double *from, size_t count, uint32_t compression)
{
    obs_tdigest_t digest;
    CHECK_OK(obs_tdigest_init(&digest, compression));
    CHECK_OK(obs_tdigest_add_many(&digest, from, count));
    return digest;
}

static inline double quantile(obs_tdigest_t *digest, double q)
{
    double value;
    CHECK_OK(obs_tdigest_quantile(digest, q, &value));
    return value;
}

/* The invariants that tdigest.h numbers. */
static inline void check_invariants(obs_tdigest_t *digest)
{
    CHECK_OK(obs_tdigest_flush(digest));
    uint64_t total = 0;
    for (size_t i = 0; i < digest->centroid_count; i++) {
        CHECK(isfinite(digest->centroids[i].mean));
        CHECK(i == 0 || digest->centroids[i - 1].mean <= digest->centroids[i].mean);
        CHECK(digest->centroids[i].weight >= 1);
        total += digest->centroids[i].weight;
    }
    CHECK(total == digest->count);
    CHECK(digest->centroid_count <= OBS_TDIGEST_CENTROIDS_MAX(digest->compression));
    if (total == 0)
        return;
    const obs_tdigest_centroid_t *last = &digest->centroids[digest->centroid_count - 1];
    CHECK_EQ(digest->centroids[0].weight, 1);
    CHECK_EQ(last->weight, 1);
    CHECK(digest->centroids[0].mean == digest->min && last->mean == digest->max);
}

static inline void check_same(obs_tdigest_t *left, obs_tdigest_t *right)
{
    CHECK_OK(obs_tdigest_flush(left));
    CHECK_OK(obs_tdigest_flush(right));
    CHECK(left->count == right->count && left->nan_count == right->nan_count);
    CHECK(left->positive_infinity_count == right->positive_infinity_count);
    CHECK(left->negative_infinity_count == right->negative_infinity_count);
    CHECK(memcmp(&left->sum, &right->sum, sizeof left->sum) == 0);
    CHECK(left->min == right->min && left->max == right->max);
    CHECK_EQ(left->compression, right->compression);
    CHECK_EQ(left->centroid_count, right->centroid_count);
    for (size_t i = 0; i < left->centroid_count; i++)
        CHECK(left->centroids[i].mean == right->centroids[i].mean &&
              left->centroids[i].weight == right->centroids[i].weight);
}

#endif

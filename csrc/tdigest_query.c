/* tdigest_query.c: quantile and cdf.
 *
 * The values of a centroid that begins after s others have the ranks s + 1 ... s + weight; its mean is
 * taken for the value of the middle one, s + (weight + 1) / 2. Ranks between two middles lie on a
 * straight line. Because the first and the last centroid weigh 1, every rank has a middle on either
 * side.
 */
#include "tdigest.h"

#include <math.h>

static uint64_t nearest_rank(double q, uint64_t count)
{
    double exact = q * (double)count;
    if (exact >= (double)count)
        return count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact)
        rank++;
    return rank > 0 ? rank : 1;
}

/* Never descends while share ascends: each operation is monotonic. a * (1 - share) + b * share is not. */
static double value_between(const obs_tdigest_centroid_t *lower, double share)
{
    double distance = lower[1].mean - lower[0].mean;
    double value = lower[0].mean + distance * share;
    if (isinf(distance))
        value = 2 * (lower[0].mean / 2 + (lower[1].mean / 2 - lower[0].mean / 2) * share);
    return value < lower[1].mean ? value : lower[1].mean;
}

static double value_at_rank(const obs_tdigest_t *digest, uint64_t rank)
{
    const obs_tdigest_centroid_t *centroid = digest->centroids;
    for (; centroid->weight < rank; centroid++)
        rank -= centroid->weight;
    if (centroid->weight == 1)
        return centroid->mean;
    double offset = (double)rank - ((double)centroid->weight + 1) / 2;
    if (offset < 0)
        centroid--;
    double distance = ((double)centroid[0].weight + (double)centroid[1].weight) / 2;
    return value_between(centroid, offset < 0 ? 1 + offset / distance : offset / distance);
}

int obs_tdigest_quantile(obs_tdigest_t *digest, double q, double *out)
{
    if (!(q >= 0 && q <= 1))
        return OBS_ERR_RANGE;
    int status = obs_tdigest_flush(digest);
    if (status != OBS_OK)
        return status;
    *out = digest->count > 0 ? value_at_rank(digest, nearest_rank(q, digest->count)) : NAN;
    return OBS_OK;
}

double obs_tdigest_rank_error(const obs_tdigest_t *digest, double q)
{
    double count = (double)digest->count;
    if (digest->count <= digest->compression)
        return 0;
    double share = expm1((4 * log(count / digest->compression) + 24) / digest->compression) * q * (1 - q);
    return fmin(1, OBS_TDIGEST_RANK_FACTOR * share + 1 / count);
}

/* How many of the values that begin with lower's are <= x, for lower[0].mean <= x < lower[1].mean. */
static uint64_t rank_between(const obs_tdigest_centroid_t *lower, double x)
{
    uint64_t most = lower[0].weight + lower[1].weight / 2; /* the last rank before the middle of lower[1] */
    double middle = ((double)lower[0].weight + 1) / 2;
    if (x == lower[0].mean)
        return (uint64_t)middle;
    /* Halves, so that the differences do not overflow. */
    double share = (x / 2 - lower[0].mean / 2) / (lower[1].mean / 2 - lower[0].mean / 2);
    double rank = middle + share * ((double)lower[0].weight + (double)lower[1].weight) / 2;
    return rank < (double)most ? (uint64_t)rank : most;
}

static double share_up_to(const obs_tdigest_t *digest, double x)
{
    if (x < digest->min)
        return 0;
    if (x >= digest->max)
        return 1;
    uint64_t before = 0;
    const obs_tdigest_centroid_t *centroid = digest->centroids;
    for (; centroid[1].mean <= x; centroid++)
        before += centroid->weight;
    return (double)(before + rank_between(centroid, x)) / (double)digest->count;
}

int obs_tdigest_cdf(obs_tdigest_t *digest, double x, double *out)
{
    int status = obs_tdigest_flush(digest);
    if (status != OBS_OK)
        return status;
    *out = digest->count > 0 && !isnan(x) ? share_up_to(digest, x) : NAN;
    return OBS_OK;
}

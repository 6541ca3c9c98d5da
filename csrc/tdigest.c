#include "tdigest.h"

#include <math.h>
#include <string.h>

#include "obs_alloc.h"
#include "obs_port.h"
#include "radix_sort.h"
#include "tdigest_builder.h"

#define FIRST_BUFFER_VALUES 16
#define NO_KEY UINT64_MAX /* above the key of every finite value */

int obs_tdigest_init(obs_tdigest_t *digest, uint32_t compression)
{
    if (compression < OBS_TDIGEST_MIN_COMPRESSION || compression > OBS_TDIGEST_MAX_COMPRESSION)
        return OBS_ERR_RANGE;
    *digest = (obs_tdigest_t){.compression = compression, .min = INFINITY, .max = -INFINITY};
    return OBS_OK;
}

void obs_tdigest_free(obs_tdigest_t *digest)
{
    obs_free(digest->buffer);
    obs_free(digest->centroids);
    *digest = (obs_tdigest_t){.compression = digest->compression, .min = INFINITY, .max = -INFINITY};
}

void obs_tdigest_reset(obs_tdigest_t *digest)
{
    obs_tdigest_t kept = *digest;
    *digest = (obs_tdigest_t){
        .compression = kept.compression,
        .min = INFINITY,
        .max = -INFINITY,
        .buffer = kept.buffer,
        .buffer_capacity = kept.buffer_capacity,
        .centroids = kept.centroids,
        .centroid_capacity = kept.centroid_capacity,
    };
}

int obs_tdigest_copy(const obs_tdigest_t *digest, obs_tdigest_t *out)
{
    obs_tdigest_t copy = *digest;
    copy.buffer = NULL;
    copy.buffer_capacity = digest->buffer_count;
    copy.centroids = NULL;
    copy.centroid_capacity = digest->centroid_count;
    if (copy.buffer_capacity > 0) {
        copy.buffer = obs_malloc(2 * copy.buffer_capacity * sizeof *copy.buffer);
        if (copy.buffer == NULL)
            goto out;
        memcpy(copy.buffer, digest->buffer, copy.buffer_count * sizeof *copy.buffer);
    }
    if (copy.centroid_capacity > 0) {
        copy.centroids = obs_malloc(copy.centroid_capacity * sizeof *copy.centroids);
        if (copy.centroids == NULL)
            goto out;
        memcpy(copy.centroids, digest->centroids, copy.centroid_count * sizeof *copy.centroids);
    }
    *out = copy;
    return OBS_OK;
out:
    obs_free(copy.buffer);
    return OBS_ERR_NOMEM;
}

static double largest_magnitude(const obs_tdigest_t *digest)
{
    return digest->count == 0 ? 0 : fmax(fabs(digest->min), fabs(digest->max));
}

int obs_tdigest_flush(obs_tdigest_t *digest)
{
    size_t key_count = digest->buffer_count;
    if (key_count == 0)
        return OBS_OK;
    obs_tdigest_builder_t builder;
    int status = obs_tdigest_builder_begin(&builder, digest, digest->count, key_count, largest_magnitude(digest));
    if (status != OBS_OK)
        return status;
    const uint64_t *keys = obs_radix_sort(digest->buffer, digest->buffer + digest->buffer_capacity, key_count);
    for (size_t i = 0; i < digest->centroid_count; i++) {
        const obs_tdigest_centroid_t *centroid = &digest->centroids[i];
        size_t taken = obs_tdigest_builder_take_keys(&builder, keys, key_count, obs_key_from_f64(centroid->mean));
        keys += taken;
        key_count -= taken;
        obs_tdigest_builder_take_centroid(&builder, centroid);
    }
    obs_tdigest_builder_take_keys(&builder, keys, key_count, NO_KEY);
    obs_tdigest_builder_end(&builder, digest);
    digest->buffer_count = 0;
    return OBS_OK;
}

/* To shrink is a favour: where the allocator refuses it, the larger block stays. */
static void shrink_centroids(obs_tdigest_t *digest)
{
    if (digest->centroid_count == 0 || digest->centroid_count == digest->centroid_capacity)
        return;
    obs_tdigest_centroid_t *centroids =
        obs_realloc(digest->centroids, digest->centroid_count * sizeof *digest->centroids);
    if (centroids == NULL)
        return;
    digest->centroids = centroids;
    digest->centroid_capacity = digest->centroid_count;
}

int obs_tdigest_trim(obs_tdigest_t *digest)
{
    int status = obs_tdigest_flush(digest);
    if (status != OBS_OK)
        return status;
    obs_free(digest->buffer);
    digest->buffer = NULL;
    digest->buffer_capacity = 0;
    shrink_centroids(digest);
    return OBS_OK;
}

/* The digest's buffer is empty; its count does not contain the copies yet. */
static int take_copies(obs_tdigest_t *digest, double value, uint64_t weight)
{
    obs_tdigest_builder_t builder;
    size_t most = OBS_TDIGEST_CENTROIDS_MAX(digest->compression);
    size_t items = weight < most ? (size_t)weight : most;
    double largest = fmax(largest_magnitude(digest), fabs(value));
    int status = obs_tdigest_builder_begin(&builder, digest, digest->count + weight, items, largest);
    if (status != OBS_OK)
        return status;
    size_t i = 0;
    while (i < digest->centroid_count && digest->centroids[i].mean <= value)
        obs_tdigest_builder_take_centroid(&builder, &digest->centroids[i++]);
    obs_tdigest_builder_take_copies(&builder, value, weight);
    while (i < digest->centroid_count)
        obs_tdigest_builder_take_centroid(&builder, &digest->centroids[i++]);
    obs_tdigest_builder_end(&builder, digest);
    return OBS_OK;
}

/* ---- Adding ------------------------------------------------------------------------------------- */

/* Room for one more key: grows the buffer, and flushes it when it is as large as it may be. */
static int make_room(obs_tdigest_t *digest)
{
    if (digest->buffer_count < digest->buffer_capacity)
        return OBS_OK;
    if (digest->buffer_capacity >= OBS_TDIGEST_BUFFER_VALUES)
        return obs_tdigest_flush(digest);
    uint32_t capacity = FIRST_BUFFER_VALUES;
    while (capacity <= digest->buffer_count)
        capacity *= 2;
    uint64_t *buffer = obs_realloc(digest->buffer, 2 * capacity * sizeof *buffer);
    if (buffer == NULL)
        return OBS_ERR_NOMEM;
    digest->buffer = buffer;
    digest->buffer_capacity = capacity;
    return OBS_OK;
}

static void count_not_finite(obs_tdigest_t *digest, double value, uint64_t weight)
{
    if (isnan(value))
        digest->nan_count += weight;
    else if (value > 0)
        digest->positive_infinity_count += weight;
    else
        digest->negative_infinity_count += weight;
}

static void count_finite(obs_tdigest_t *digest, double value, uint64_t weight)
{
    digest->count += weight;
    digest->sum += value * (double)weight;
    if (value < digest->min)
        digest->min = value;
    if (value > digest->max)
        digest->max = value;
}

int obs_tdigest_add(obs_tdigest_t *digest, double value, uint64_t weight)
{
    if (weight > UINT64_MAX - obs_tdigest_samples(digest))
        return OBS_ERR_RANGE;
    if (weight == 0)
        return OBS_OK;
    if (OBS_UNLIKELY(!isfinite(value))) {
        count_not_finite(digest, value, weight);
        return OBS_OK;
    }
    value += 0.0; /* -0.0 becomes 0.0 */
    int status = weight == 1 ? make_room(digest) : obs_tdigest_flush(digest);
    if (status == OBS_OK && weight > 1)
        status = take_copies(digest, value, weight);
    if (status != OBS_OK)
        return status;
    if (weight == 1)
        digest->buffer[digest->buffer_count++] = obs_key_from_f64(value);
    count_finite(digest, value, weight);
    return OBS_OK;
}

/* As many values as the buffer has room for; values may be unaligned. */
static void push_block(obs_tdigest_t *digest, const char *values, size_t value_count)
{
    uint64_t *keys = digest->buffer + digest->buffer_count;
    double sum = digest->sum;
    double min = digest->min;
    double max = digest->max;
    for (size_t i = 0; i < value_count; i++) {
        double value;
        memcpy(&value, values + i * sizeof value, sizeof value);
        if (OBS_UNLIKELY(!isfinite(value))) {
            count_not_finite(digest, value, 1);
            continue;
        }
        value += 0.0;
        sum += value;
        min = value < min ? value : min;
        max = value > max ? value : max;
        *keys++ = obs_key_from_f64(value);
    }
    uint32_t buffer_count = (uint32_t)(keys - digest->buffer);
    digest->count += buffer_count - digest->buffer_count;
    digest->buffer_count = buffer_count;
    digest->sum = sum;
    digest->min = min;
    digest->max = max;
}

int obs_tdigest_add_many(obs_tdigest_t *digest, const double *values, size_t value_count)
{
    const char *at = (const char *)values;
    if (value_count > UINT64_MAX - obs_tdigest_samples(digest))
        return OBS_ERR_RANGE;
    while (value_count > 0) {
        int status = make_room(digest);
        if (status != OBS_OK)
            return status;
        size_t room = digest->buffer_capacity - digest->buffer_count;
        size_t block = value_count < room ? value_count : room;
        push_block(digest, at, block);
        at += block * sizeof *values;
        value_count -= block;
    }
    return OBS_OK;
}

/* Both digests' buffers are empty. They may be the same digest. */
static int merge_centroids(obs_tdigest_t *into, const obs_tdigest_t *from)
{
    obs_tdigest_builder_t builder;
    double largest = fmax(largest_magnitude(into), largest_magnitude(from));
    int status = obs_tdigest_builder_begin(&builder, into, into->count + from->count, from->centroid_count, largest);
    if (status != OBS_OK)
        return status;
    size_t ours = 0, theirs = 0;
    while (ours < into->centroid_count || theirs < from->centroid_count) {
        int take_theirs = ours == into->centroid_count ||
                          (theirs < from->centroid_count && from->centroids[theirs].mean < into->centroids[ours].mean);
        obs_tdigest_builder_take_centroid(&builder,
                                          take_theirs ? &from->centroids[theirs++] : &into->centroids[ours++]);
    }
    obs_tdigest_builder_end(&builder, into);
    return OBS_OK;
}

int obs_tdigest_merge(obs_tdigest_t *into, obs_tdigest_t *from)
{
    if (obs_tdigest_samples(from) > UINT64_MAX - obs_tdigest_samples(into))
        return OBS_ERR_RANGE;
    int status = obs_tdigest_flush(into);
    if (status == OBS_OK)
        status = obs_tdigest_flush(from);
    if (status == OBS_OK && from->count > 0)
        status = merge_centroids(into, from);
    if (status != OBS_OK)
        return status;
    into->count += from->count;
    into->nan_count += from->nan_count;
    into->positive_infinity_count += from->positive_infinity_count;
    into->negative_infinity_count += from->negative_infinity_count;
    into->sum += from->sum;
    into->min = fmin(into->min, from->min);
    into->max = fmax(into->max, from->max);
    return OBS_OK;
}

size_t obs_tdigest_memory_bytes(const obs_tdigest_t *digest)
{
    return sizeof *digest + 2 * (size_t)digest->buffer_capacity * sizeof *digest->buffer +
           (size_t)digest->centroid_capacity * sizeof *digest->centroids;
}

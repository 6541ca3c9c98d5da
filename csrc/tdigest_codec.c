/* tdigest_codec.c: the compact form.
 *
 *     digest    := compression, nan_count, positive_infinity_count, negative_infinity_count,
 *                  centroid_count (varints), contents if centroid_count > 0
 *     contents  := sum (f64, little-endian), centroid*
 *     centroid  := key - key of the centroid before (first: its key), weight (varints)
 *
 * A key is the double as an integer of the same order (radix_sort.h), so that means ascend by
 * construction. Count, minimum and maximum follow from the centroids.
 */
#include "tdigest.h"

#include <assert.h>
#include <math.h>

#include "obs_alloc.h"
#include "obs_port.h"
#include "radix_sort.h"
#include "varint.h"

#define HEADER_MAX_SIZE (5 * OBS_VARINT_MAX_SIZE + 8)
#define CENTROID_MIN_SIZE 2
#define CENTROID_MAX_SIZE (2 * OBS_VARINT_MAX_SIZE)

size_t obs_tdigest_encoded_bound(const obs_tdigest_t *digest)
{
    size_t most = OBS_TDIGEST_CENTROIDS_MAX(digest->compression);
    size_t items = (size_t)digest->centroid_count + digest->buffer_count;
    return HEADER_MAX_SIZE + (items < most ? items : most) * CENTROID_MAX_SIZE;
}

int obs_tdigest_encode(obs_tdigest_t *digest, uint8_t *out, size_t capacity, size_t *size)
{
    int status = obs_tdigest_flush(digest);
    if (status != OBS_OK)
        return status;
    if (capacity < obs_tdigest_encoded_bound(digest))
        return OBS_ERR_FULL;
    uint8_t *at = out;
    at += obs_varint_put(at, digest->compression);
    at += obs_varint_put(at, digest->nan_count);
    at += obs_varint_put(at, digest->positive_infinity_count);
    at += obs_varint_put(at, digest->negative_infinity_count);
    at += obs_varint_put(at, digest->centroid_count);
    if (digest->centroid_count > 0) {
        obs_store_f64(at, digest->sum);
        at += sizeof digest->sum;
    }
    uint64_t before = 0;
    for (size_t i = 0; i < digest->centroid_count; i++) {
        uint64_t key = obs_key_from_f64(digest->centroids[i].mean);
        at += obs_varint_put(at, key - before);
        at += obs_varint_put(at, digest->centroids[i].weight);
        before = key;
    }
    *size = (size_t)(at - out);
    return OBS_OK;
}

/* Everything before the centroids; *cursor is left at the first of them. */
static int read_header(const uint8_t **cursor, const uint8_t *end, obs_tdigest_t *header)
{
    uint64_t compression, centroid_count;
    if (obs_varint_get(cursor, end, &compression) != OBS_OK || compression < OBS_TDIGEST_MIN_COMPRESSION ||
        compression > OBS_TDIGEST_MAX_COMPRESSION || obs_tdigest_init(header, (uint32_t)compression) != OBS_OK ||
        obs_varint_get(cursor, end, &header->nan_count) != OBS_OK ||
        obs_varint_get(cursor, end, &header->positive_infinity_count) != OBS_OK ||
        obs_varint_get(cursor, end, &header->negative_infinity_count) != OBS_OK ||
        obs_varint_get(cursor, end, &centroid_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (centroid_count > OBS_TDIGEST_CENTROIDS_MAX(compression) ||
        centroid_count > (size_t)(end - *cursor) / CENTROID_MIN_SIZE)
        return OBS_ERR_CORRUPT;
    header->centroid_count = (uint32_t)centroid_count;
    if (centroid_count == 0)
        return OBS_OK;
    if ((size_t)(end - *cursor) < sizeof header->sum)
        return OBS_ERR_CORRUPT;
    header->sum = obs_load_f64(*cursor);
    *cursor += sizeof header->sum;
    return OBS_OK;
}

/* One centroid behind one of the key *key, which it moves. */
static int read_centroid(const uint8_t **cursor, const uint8_t *end, uint64_t *key, obs_tdigest_centroid_t *centroid)
{
    uint64_t distance;
    if (obs_varint_get(cursor, end, &distance) != OBS_OK || distance > UINT64_MAX - *key ||
        obs_varint_get(cursor, end, &centroid->weight) != OBS_OK || centroid->weight == 0)
        return OBS_ERR_CORRUPT;
    *key += distance;
    centroid->mean = obs_key_to_f64(*key);
    if (!isfinite(centroid->mean) || (centroid->mean == 0 && signbit(centroid->mean)))
        return OBS_ERR_CORRUPT;
    return OBS_OK;
}

/* Adds to a count under the rule that all samples together stay below 2^64. */
static int add_samples(uint64_t *samples, uint64_t more)
{
    if (more > UINT64_MAX - *samples)
        return OBS_ERR_CORRUPT;
    *samples += more;
    return OBS_OK;
}

/* Reads the centroids that header promises, up to the end of the bytes, into centroids unless that is NULL. */
static int read_centroids(const uint8_t *cursor, const uint8_t *end, obs_tdigest_t *header,
                          obs_tdigest_centroid_t *centroids)
{
    uint64_t key = 0;
    for (size_t i = 0; i < header->centroid_count; i++) {
        obs_tdigest_centroid_t centroid;
        int status = read_centroid(&cursor, end, &key, &centroid);
        if (status == OBS_OK)
            status = add_samples(&header->count, centroid.weight);
        if (status != OBS_OK)
            return status;
        if ((i == 0 || i == header->centroid_count - 1) && centroid.weight != 1)
            return OBS_ERR_CORRUPT;
        if (i == 0)
            header->min = centroid.mean;
        header->max = centroid.mean;
        if (centroids != NULL)
            centroids[i] = centroid;
    }
    return cursor == end ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_tdigest_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    obs_tdigest_t header;
    const uint8_t *end = bytes + size;
    int status = read_header(&bytes, end, &header);
    if (status == OBS_OK)
        status = read_centroids(bytes, end, &header, NULL);
    if (status != OBS_OK)
        return status;
    uint64_t all = header.count;
    if (add_samples(&all, header.nan_count) != OBS_OK || add_samples(&all, header.positive_infinity_count) != OBS_OK ||
        add_samples(&all, header.negative_infinity_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (samples != NULL)
        *samples = all;
    return OBS_OK;
}

int obs_tdigest_decode(const uint8_t *bytes, size_t size, obs_tdigest_t *out)
{
    obs_tdigest_t digest;
    const uint8_t *end = bytes + size;
    int status = obs_tdigest_check(bytes, size, NULL);
    if (status == OBS_OK)
        status = read_header(&bytes, end, &digest);
    if (status != OBS_OK)
        return status;
    if (digest.centroid_count > 0) {
        digest.centroids = obs_malloc(digest.centroid_count * sizeof *digest.centroids);
        if (digest.centroids == NULL)
            return OBS_ERR_NOMEM;
        digest.centroid_capacity = digest.centroid_count;
    }
    status = read_centroids(bytes, end, &digest, digest.centroids);
    assert(status == OBS_OK);
    *out = digest;
    return status;
}

int obs_tdigest_merge_encoded(obs_tdigest_t *into, const uint8_t *bytes, size_t size)
{
    obs_tdigest_t from;
    int status = obs_tdigest_decode(bytes, size, &from);
    if (status != OBS_OK)
        return status;
    status = obs_tdigest_merge(into, &from);
    obs_tdigest_free(&from);
    return status;
}

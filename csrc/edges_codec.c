/* edges_codec.c: the compact form.
 *
 *     edges := bin_count, has_sums (0 or 1) (varints), count* (varints, one for each bin),
 *              sum* (f64, little-endian; for each bin whose count is not 0) if has_sums
 *
 * has_sums is 0 where all sums are 0, as those of categories are. -0.0 is never written, and NaN (a sum that overflowed
 * both ways) only as 0x7ff8000000000000: there is one way to write counts and sums.
 */
#include <math.h>

#include "edges.h"
#include "obs_alloc.h"
#include "obs_port.h"
#include "varint.h"

#define NAN_BITS UINT64_C(0x7ff8000000000000)
#define HEADER_MAX_SIZE 4
#define BIN_MAX_SIZE (OBS_VARINT_MAX_SIZE + sizeof(double))

size_t obs_edges_encoded_bound(const obs_edges_t *edges)
{
    return HEADER_MAX_SIZE + edges->bin_count * BIN_MAX_SIZE;
}

static int has_sums(const obs_edges_t *edges)
{
    for (uint32_t bin = 0; bin < edges->bin_count; bin++)
        if (edges->counts[bin] > 0 && edges->sums[bin] != 0)
            return 1;
    return 0;
}

int obs_edges_encode(const obs_edges_t *edges, uint8_t *out, size_t capacity, size_t *size)
{
    if (capacity < obs_edges_encoded_bound(edges))
        return OBS_ERR_FULL;
    uint8_t *at = out;
    int with_sums = has_sums(edges);
    at += obs_varint_put(at, edges->bin_count);
    at += obs_varint_put(at, (uint64_t)with_sums);
    for (uint32_t bin = 0; bin < edges->bin_count; bin++)
        at += obs_varint_put(at, edges->counts[bin]);
    for (uint32_t bin = 0; with_sums && bin < edges->bin_count; bin++) {
        if (edges->counts[bin] == 0)
            continue;
        if (isnan(edges->sums[bin]))
            obs_store_u64(at, NAN_BITS);
        else
            obs_store_f64(at, edges->sums[bin] + 0.0);
        at += sizeof edges->sums[bin];
    }
    *size = (size_t)(at - out);
    return OBS_OK;
}

typedef struct {
    uint32_t bin_count;
    uint32_t has_sums;
    const uint8_t *counts;
    uint64_t total;
    size_t sum_count; /* bins that are not empty */
} header_t;

/* Everything before the sums; *cursor is left at the first of them. */
static int read_header(const uint8_t **cursor, const uint8_t *end, header_t *header)
{
    uint64_t bin_count, with_sums, count;
    if (obs_varint_get(cursor, end, &bin_count) != OBS_OK || bin_count < 1 || bin_count > OBS_EDGES_MAX_BINS ||
        obs_varint_get(cursor, end, &with_sums) != OBS_OK || with_sums > 1)
        return OBS_ERR_CORRUPT;
    *header = (header_t){.bin_count = (uint32_t)bin_count, .has_sums = (uint32_t)with_sums, .counts = *cursor};
    for (uint32_t bin = 0; bin < header->bin_count; bin++) {
        if (obs_varint_get(cursor, end, &count) != OBS_OK || count > UINT64_MAX - header->total)
            return OBS_ERR_CORRUPT;
        header->total += count;
        header->sum_count += count > 0;
    }
    return OBS_OK;
}

static int read_sum(const uint8_t *at, double *sum)
{
    *sum = obs_load_f64(at);
    if ((*sum == 0 && signbit(*sum)) || (isnan(*sum) && obs_load_u64(at) != NAN_BITS))
        return OBS_ERR_CORRUPT;
    return OBS_OK;
}

int obs_edges_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    header_t header;
    const uint8_t *end = bytes + size;
    int status = read_header(&bytes, end, &header);
    if (status != OBS_OK)
        return status;
    if ((size_t)(end - bytes) != header.has_sums * header.sum_count * sizeof(double))
        return OBS_ERR_CORRUPT;
    int some_sum = 0;
    for (; bytes != end; bytes += sizeof(double)) {
        double sum;
        status = read_sum(bytes, &sum);
        if (status != OBS_OK)
            return status;
        some_sum |= sum != 0;
    }
    if (header.has_sums && !some_sum)
        return OBS_ERR_CORRUPT;
    if (samples != NULL)
        *samples = header.total;
    return OBS_OK;
}

/* Adds what checked bytes hold to edges of as many bins. */
static int add_checked(obs_edges_t *edges, const uint8_t *bytes, size_t size)
{
    header_t header;
    const uint8_t *end = bytes + size;
    int status = read_header(&bytes, end, &header);
    if (status != OBS_OK)
        return status;
    if (header.bin_count != edges->bin_count)
        return OBS_ERR_STATE;
    if (header.total > UINT64_MAX - edges->total)
        return OBS_ERR_RANGE;
    const uint8_t *counts = header.counts;
    for (uint32_t bin = 0; bin < header.bin_count; bin++) {
        uint64_t count = 0;
        status = obs_varint_get(&counts, end, &count);
        if (status != OBS_OK)
            return status; /* not reached: the bytes were checked */
        edges->counts[bin] += count;
        if (count > 0 && header.has_sums) {
            edges->sums[bin] += obs_load_f64(bytes);
            bytes += sizeof(double);
        }
    }
    edges->total += header.total;
    return OBS_OK;
}

int obs_edges_merge_encoded(obs_edges_t *into, const uint8_t *bytes, size_t size)
{
    int status = obs_edges_check(bytes, size, NULL);
    return status == OBS_OK ? add_checked(into, bytes, size) : status;
}

int obs_edges_decode(const uint8_t *bytes, size_t size, obs_edges_t *out)
{
    obs_edges_t edges;
    header_t header;
    const uint8_t *at = bytes;
    int status = obs_edges_check(bytes, size, NULL);
    if (status == OBS_OK)
        status = read_header(&at, bytes + size, &header);
    if (status == OBS_OK)
        status = obs_edges_init(&edges, header.bin_count);
    if (status != OBS_OK)
        return status;
    status = add_checked(&edges, bytes, size);
    if (status == OBS_OK)
        *out = edges;
    else
        obs_edges_free(&edges);
    return status;
}

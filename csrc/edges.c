#include "edges.h"

#include <math.h>

#include "obs_alloc.h"
#include "obs_port.h"

int obs_edges_init(obs_edges_t *edges, uint32_t bin_count)
{
    if (bin_count < 1 || bin_count > OBS_EDGES_MAX_BINS)
        return OBS_ERR_RANGE;
    size_t slots = (size_t)bin_count + 1;
    uint64_t *counts = obs_calloc(slots, sizeof *counts);
    double *sums = obs_calloc(slots, sizeof *sums);
    if (counts == NULL || sums == NULL) {
        obs_free(counts);
        obs_free(sums);
        return OBS_ERR_NOMEM;
    }
    *edges = (obs_edges_t){.counts = counts, .sums = sums, .bin_count = bin_count};
    return OBS_OK;
}

void obs_edges_free(obs_edges_t *edges)
{
    obs_free(edges->counts);
    obs_free(edges->sums);
    *edges = (obs_edges_t){0};
}

void obs_edges_reset(obs_edges_t *edges)
{
    memset(edges->counts, 0, edges->bin_count * sizeof *edges->counts);
    memset(edges->sums, 0, edges->bin_count * sizeof *edges->sums);
    edges->total = 0;
}

int obs_edges_copy(const obs_edges_t *edges, obs_edges_t *out)
{
    obs_edges_t copy;
    int status = obs_edges_init(&copy, edges->bin_count);
    if (status != OBS_OK)
        return status;
    memcpy(copy.counts, edges->counts, edges->bin_count * sizeof *edges->counts);
    memcpy(copy.sums, edges->sums, edges->bin_count * sizeof *edges->sums);
    copy.total = edges->total;
    *out = copy;
    return OBS_OK;
}

static int has_room(const obs_edges_t *edges, uint64_t weight)
{
    return weight <= UINT64_MAX - edges->total;
}

int obs_edges_add_bin(obs_edges_t *edges, uint32_t bin, uint64_t weight)
{
    if (bin >= edges->bin_count || !has_room(edges, weight))
        return OBS_ERR_RANGE;
    edges->counts[bin] += weight;
    edges->total += weight;
    return OBS_OK;
}

int obs_edges_add(obs_edges_t *edges, const obs_cuts_t *cuts, double value, uint64_t weight)
{
    if (edges->bin_count != cuts->cut_count + 1)
        return OBS_ERR_STATE;
    if (!has_room(edges, weight))
        return OBS_ERR_RANGE;
    if (!isfinite(value) || weight == 0)
        return OBS_OK;
    uint32_t bin = obs_cuts_bin(cuts, value);
    edges->counts[bin] += weight;
    edges->sums[bin] += value * (double)weight;
    edges->total += weight;
    return OBS_OK;
}

int obs_edges_add_many_reference(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        double value;
        memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
        int status = obs_edges_add(edges, cuts, value, 1);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

int obs_edges_merge(obs_edges_t *into, const obs_edges_t *from)
{
    if (into->bin_count != from->bin_count)
        return OBS_ERR_STATE;
    if (!has_room(into, from->total))
        return OBS_ERR_RANGE;
    for (uint32_t bin = 0; bin < from->bin_count; bin++) {
        into->counts[bin] += from->counts[bin];
        into->sums[bin] += from->sums[bin];
    }
    into->total += from->total;
    return OBS_OK;
}

size_t obs_edges_memory_bytes(const obs_edges_t *edges)
{
    size_t slots = (size_t)edges->bin_count + 1;
    return sizeof *edges + slots * (sizeof *edges->counts + sizeof *edges->sums);
}

#include "column.h"

#include "obs_alloc.h"

void obs_column_init(obs_column_t *column, uint8_t given_up)
{
    *column = (obs_column_t){.given_up = given_up};
    obs_moments_init(&column->moments);
}

static void free_edges(obs_column_t *column)
{
    if (column->edges != NULL)
        obs_edges_free(column->edges);
    obs_free(column->edges);
    column->edges = NULL;
}

static void free_topk(obs_column_t *column)
{
    if (column->topk != NULL)
        obs_topk_free(column->topk);
    obs_free(column->topk);
    column->topk = NULL;
}

static void free_hll(obs_column_t *column)
{
    if (column->hll != NULL)
        obs_hll_free(column->hll);
    obs_free(column->hll);
    column->hll = NULL;
}

void obs_column_free(obs_column_t *column)
{
    free_edges(column);
    free_topk(column);
    free_hll(column);
    obs_column_init(column, 0);
}

static void give_up(obs_column_t *column, uint8_t parts)
{
    if (parts & OBS_COLUMN_EDGES)
        free_edges(column);
    if (parts & OBS_COLUMN_TOPK)
        free_topk(column);
    if (parts & OBS_COLUMN_HLL)
        free_hll(column);
    column->given_up |= parts;
}

size_t obs_column_heap_bytes(const obs_column_t *column)
{
    size_t bytes = column->edges == NULL ? 0 : obs_edges_memory_bytes(column->edges);
    bytes += column->topk == NULL ? 0 : obs_topk_memory_bytes(column->topk);
    return bytes + (column->hll == NULL ? 0 : obs_hll_memory_bytes(column->hll));
}

/* Parts ------------------------------------------------------------------------------------------------- */

/* The values that edges are about. */
static uint64_t binned(const obs_column_t *column)
{
    return column->moments.count + column->category_count;
}

/* The values that the count of distinct ones is about. */
static uint64_t valued(const obs_column_t *column)
{
    return obs_column_numbers(column) + column->category_count;
}

/* Each of these: the part, made if nothing that it is about was added before; NULL if it is given up. before is what
 * the column held of such values before the addition. */
static obs_edges_t *edges_of(obs_column_t *column, uint32_t bin_count, uint64_t before)
{
    if (column->edges == NULL && before == 0 && !(column->given_up & OBS_COLUMN_EDGES)) {
        column->edges = obs_malloc(sizeof *column->edges);
        if (column->edges != NULL && obs_edges_init(column->edges, bin_count) != OBS_OK) {
            obs_free(column->edges);
            column->edges = NULL;
        }
    }
    if (column->edges == NULL || column->edges->bin_count != bin_count)
        give_up(column, OBS_COLUMN_EDGES);
    return column->edges;
}

static obs_topk_t *topk_of(obs_column_t *column, uint64_t before)
{
    if (column->topk == NULL && before == 0 && !(column->given_up & OBS_COLUMN_TOPK)) {
        column->topk = obs_malloc(sizeof *column->topk);
        if (column->topk != NULL && obs_topk_init(column->topk, OBS_COLUMN_TOP) != OBS_OK) {
            obs_free(column->topk);
            column->topk = NULL;
        }
    }
    if (column->topk == NULL)
        give_up(column, OBS_COLUMN_TOPK);
    return column->topk;
}

static obs_hll_t *hll_of(obs_column_t *column, uint64_t before)
{
    if (column->hll == NULL && before == 0 && !(column->given_up & OBS_COLUMN_HLL)) {
        column->hll = obs_malloc(sizeof *column->hll);
        if (column->hll != NULL && obs_hll_init(column->hll, OBS_HLL_DEFAULT_P) != OBS_OK) {
            obs_free(column->hll);
            column->hll = NULL;
        }
    }
    if (column->hll == NULL)
        give_up(column, OBS_COLUMN_HLL);
    return column->hll;
}

/* Adding ------------------------------------------------------------------------------------------------ */

/* Gives a part up that an addition could not be added to. */
static void settle(obs_column_t *column, uint8_t part, int status)
{
    if (status != OBS_OK)
        give_up(column, part);
}

static void add_distinct(obs_column_t *column, uint64_t before, const double *values, size_t value_count)
{
    obs_hll_t *hll = hll_of(column, before);
    if (hll != NULL)
        settle(column, OBS_COLUMN_HLL, obs_hll_add_many(hll, values, value_count));
}

static void add_to_edges(obs_column_t *column, uint64_t before, const obs_cuts_t *cuts, const double *values,
                         size_t value_count)
{
    obs_edges_t *edges = cuts == NULL ? NULL : edges_of(column, cuts->cut_count + 1, before);
    if (edges != NULL)
        settle(column, OBS_COLUMN_EDGES, obs_edges_add_many(edges, cuts, values, value_count));
    else if (column->edges != NULL)
        give_up(column, OBS_COLUMN_EDGES);
}

int obs_column_add_many(obs_column_t *column, const obs_cuts_t *cuts, const double *values, size_t value_count)
{
    if (value_count > UINT64_MAX - obs_column_samples(column))
        return OBS_ERR_RANGE;
    if (value_count == 0)
        return OBS_OK;
    uint64_t valued_before = valued(column), binned_before = binned(column);
    int status = obs_moments_add_many(&column->moments, values, value_count);
    add_distinct(column, valued_before, values, value_count);
    if (binned(column) != binned_before)
        add_to_edges(column, binned_before, cuts, values, value_count);
    return status;
}

int obs_column_add_nulls(obs_column_t *column, uint64_t weight)
{
    return weight > UINT64_MAX - obs_column_samples(column) ? OBS_ERR_RANGE
                                                            : obs_moments_add_nulls(&column->moments, weight);
}

int obs_column_add_wrong_types(obs_column_t *column, uint64_t weight)
{
    if (weight > UINT64_MAX - obs_column_samples(column))
        return OBS_ERR_RANGE;
    return obs_moments_add_wrong_types(&column->moments, weight);
}

static void add_to_bin(obs_column_t *column, uint32_t bin, uint32_t bin_count, uint64_t weight)
{
    obs_edges_t *edges = edges_of(column, bin_count, binned(column));
    if (edges != NULL)
        settle(column, OBS_COLUMN_EDGES, obs_edges_add_bin(edges, bin, weight));
}

int obs_column_add_category(obs_column_t *column, const obs_category_t *category, uint32_t bin_count, uint64_t weight)
{
    if (weight > UINT64_MAX - obs_column_samples(column))
        return OBS_ERR_RANGE;
    if (weight == 0)
        return OBS_OK;
    obs_hll_t *hll = hll_of(column, valued(column));
    if (hll != NULL)
        settle(column, OBS_COLUMN_HLL, obs_hll_add_hash(hll, category->hash));
    if (bin_count > 0)
        add_to_bin(column, category->bin, bin_count, weight);
    else if (column->edges != NULL)
        give_up(column, OBS_COLUMN_EDGES);
    obs_topk_t *topk = topk_of(column, column->category_count);
    if (topk != NULL && category->key == NULL)
        settle(column, OBS_COLUMN_TOPK, obs_topk_add_other(topk, weight));
    else if (topk != NULL)
        settle(column, OBS_COLUMN_TOPK,
               obs_topk_add_hashed(topk, category->hash, category->key, category->key_size, weight));
    column->category_count += weight;
    return OBS_OK;
}

/* Merging ----------------------------------------------------------------------------------------------- */

/* True if one of the two has given the part up, or has values that it should hold and no part. */
static int is_missed(const obs_column_t *into, const obs_column_t *from, uint8_t part, int into_lacks, int from_lacks)
{
    return ((into->given_up | from->given_up) & part) || into_lacks || from_lacks;
}

static void merge_edges(obs_column_t *into, const obs_column_t *from)
{
    int into_has = into->edges != NULL, from_has = from->edges != NULL;
    if (!into_has && !from_has) {
        into->given_up |= from->given_up & OBS_COLUMN_EDGES;
        return;
    }
    int status = OBS_ERR_STATE;
    if (!is_missed(into, from, OBS_COLUMN_EDGES, !into_has && binned(into) > 0, !from_has && binned(from) > 0)) {
        const obs_edges_t *shape = from_has ? from->edges : into->edges;
        status = edges_of(into, shape->bin_count, 0) == NULL ? OBS_ERR_NOMEM : OBS_OK;
        if (status == OBS_OK && from_has)
            status = obs_edges_merge(into->edges, from->edges);
    }
    if (status != OBS_OK)
        give_up(into, OBS_COLUMN_EDGES);
}

static void merge_topk(obs_column_t *into, const obs_column_t *from)
{
    int into_has = into->topk != NULL, from_has = from->topk != NULL;
    if (!from_has && from->category_count == 0 && !(from->given_up & OBS_COLUMN_TOPK))
        return;
    int status = OBS_ERR_STATE;
    if (!is_missed(into, from, OBS_COLUMN_TOPK, !into_has && into->category_count > 0, !from_has))
        status = topk_of(into, 0) == NULL ? OBS_ERR_NOMEM : obs_topk_merge(into->topk, from->topk);
    if (status != OBS_OK)
        give_up(into, OBS_COLUMN_TOPK);
}

static void merge_hll(obs_column_t *into, const obs_column_t *from)
{
    int into_has = into->hll != NULL, from_has = from->hll != NULL;
    if (!from_has && valued(from) == 0 && !(from->given_up & OBS_COLUMN_HLL))
        return;
    int status = OBS_ERR_STATE;
    if (!is_missed(into, from, OBS_COLUMN_HLL, !into_has && valued(into) > 0, !from_has))
        status = hll_of(into, 0) == NULL ? OBS_ERR_NOMEM : obs_hll_merge(into->hll, from->hll);
    if (status != OBS_OK)
        give_up(into, OBS_COLUMN_HLL);
}

int obs_column_merge(obs_column_t *into, const obs_column_t *from)
{
    if (obs_column_samples(from) > UINT64_MAX - obs_column_samples(into))
        return OBS_ERR_RANGE;
    merge_edges(into, from);
    merge_topk(into, from);
    merge_hll(into, from);
    into->category_count += from->category_count;
    return obs_moments_merge(&into->moments, &from->moments);
}

/* series_index.h: series id -> u32, a hash table for ids that are mostly dense.
 *
 *   groups of eight cells (one cache line), linear probing from cell to cell
 *   +----------------- 64 bytes -----------------+
 *   | id value | id value | ...       | id value |   home cell of an id = hash(id / 8) * 8 + id % 8
 *   +--------------------------------------------+
 *
 * Store-wide ids are handed out one after another, so neighbours mostly occur together: eight
 * neighbours share a line and never collide with each other, and a pass in id order walks lines, not
 * cells. The hash spreads the groups, so that no stride of ids piles up. At most half of the cells are
 * in use. The value UINT32_MAX marks a free cell and cannot be stored.
 */
#ifndef OBS_SERIES_INDEX_H
#define OBS_SERIES_INDEX_H

#include "obs.h"

#define OBS_SERIES_INDEX_ABSENT UINT32_MAX
#define OBS_SERIES_INDEX_GROUP 8u

typedef struct {
    uint32_t series;
    uint32_t value;
} obs_series_cell_t;

typedef struct {
    obs_series_cell_t *cells;
    size_t mask;  /* cells - 1; cells is a power of two; 0 while nothing is allocated */
    size_t count; /* cells in use */
    unsigned shift;
} obs_series_index_t;

/* Empty; allocates nothing. */
void obs_series_index_init(obs_series_index_t *index);
void obs_series_index_free(obs_series_index_t *index);
/* Sets the value of a series. OBS_ERR_RANGE for OBS_SERIES_INDEX_ABSENT; on failure nothing changes. */
OBS_MUST_CHECK int obs_series_index_set(obs_series_index_t *index, uint32_t series, uint32_t value);
/* Bytes allocated. */
size_t obs_series_index_memory_bytes(const obs_series_index_t *index);

static inline size_t obs_series_index_home(const obs_series_index_t *index, uint32_t series)
{
    uint64_t group = series / OBS_SERIES_INDEX_GROUP;
    uint64_t hashed = (group * UINT64_C(0x9e3779b97f4a7c15)) >> index->shift;
    return (size_t)hashed * OBS_SERIES_INDEX_GROUP + series % OBS_SERIES_INDEX_GROUP;
}

/* The cell that holds a series, or the free one where it belongs. The index has cells. */
static inline obs_series_cell_t *obs_series_index_cell(const obs_series_index_t *index, uint32_t series)
{
    size_t at = obs_series_index_home(index, series);
    while (index->cells[at].value != OBS_SERIES_INDEX_ABSENT && index->cells[at].series != series)
        at = (at + 1) & index->mask;
    return &index->cells[at];
}

/* The value of a series or OBS_SERIES_INDEX_ABSENT. */
static inline uint32_t obs_series_index_get(const obs_series_index_t *index, uint32_t series)
{
    return index->count == 0 ? OBS_SERIES_INDEX_ABSENT : obs_series_index_cell(index, series)->value;
}

#endif

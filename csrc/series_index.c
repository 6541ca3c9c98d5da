#include "series_index.h"

#include <string.h>

#include "obs_alloc.h"
#include "obs_port.h"

#define FIRST_CELL_COUNT 64u

void obs_series_index_init(obs_series_index_t *index)
{
    *index = (obs_series_index_t){0};
}

void obs_series_index_free(obs_series_index_t *index)
{
    obs_free(index->cells);
    *index = (obs_series_index_t){0};
}

static size_t cell_count(const obs_series_index_t *index)
{
    return index->cells == NULL ? 0 : index->mask + 1;
}

size_t obs_series_index_memory_bytes(const obs_series_index_t *index)
{
    return cell_count(index) * sizeof *index->cells;
}

static int index_grow(obs_series_index_t *index)
{
    size_t old_count = cell_count(index);
    size_t new_count = old_count == 0 ? FIRST_CELL_COUNT : old_count * 2;
    if (new_count > SIZE_MAX / sizeof *index->cells)
        return OBS_ERR_NOMEM;
    obs_series_index_t grown = {.mask = new_count - 1, .count = index->count};
    grown.shift = 64u - (unsigned)__builtin_ctzll(new_count / OBS_SERIES_INDEX_GROUP);
    grown.cells = obs_aligned_alloc(OBS_CACHE_LINE, new_count * sizeof *grown.cells);
    if (grown.cells == NULL)
        return OBS_ERR_NOMEM;
    memset(grown.cells, 0xff, new_count * sizeof *grown.cells);
    for (size_t at = 0; at < old_count; at++)
        if (index->cells[at].value != OBS_SERIES_INDEX_ABSENT)
            *obs_series_index_cell(&grown, index->cells[at].series) = index->cells[at];
    obs_free(index->cells);
    *index = grown;
    return OBS_OK;
}

int obs_series_index_set(obs_series_index_t *index, uint32_t series, uint32_t value)
{
    if (value == OBS_SERIES_INDEX_ABSENT)
        return OBS_ERR_RANGE;
    if (index->count >= cell_count(index) / 2) {
        int status = index_grow(index);
        if (status != OBS_OK)
            return status;
    }
    obs_series_cell_t *cell = obs_series_index_cell(index, series);
    index->count += cell->value == OBS_SERIES_INDEX_ABSENT;
    *cell = (obs_series_cell_t){.series = series, .value = value};
    return OBS_OK;
}

#include "groups.h"

#include "obs_alloc.h"
#include "rows.h"

int obs_groups_init(obs_groups_t *groups, size_t group_count)
{
    *groups = (obs_groups_t){0};
    obs_series_index_init(&groups->index);
    if (group_count >= OBS_SERIES_INDEX_ABSENT)
        return OBS_ERR_RANGE;
    if (group_count == 0)
        return OBS_OK;
    groups->accumulators = obs_calloc(group_count, sizeof *groups->accumulators);
    if (groups->accumulators == NULL)
        return OBS_ERR_NOMEM;
    /* The finest scale: the first histogram that a group takes lowers it to its own. */
    int status = OBS_OK;
    for (; status == OBS_OK && groups->group_count < group_count; groups->group_count++)
        status = obs_accumulator_init(&groups->accumulators[groups->group_count], OBS_LOGHIST_MAX_SCALE);
    return status;
}

void obs_groups_free(obs_groups_t *groups)
{
    for (size_t group = 0; group < groups->group_count; group++)
        obs_accumulator_free(&groups->accumulators[group]);
    obs_free(groups->accumulators);
    obs_series_index_free(&groups->index);
    *groups = (obs_groups_t){0};
}

int obs_groups_select(obs_groups_t *groups, uint32_t series, size_t group)
{
    if (group >= groups->group_count)
        return OBS_ERR_RANGE;
    return obs_series_index_set(&groups->index, series, (uint32_t)group);
}

static obs_accumulator_t *find_group(const obs_groups_t *groups, uint32_t series)
{
    uint32_t group = obs_series_index_get(&groups->index, series);
    return group == OBS_SERIES_INDEX_ABSENT ? NULL : &groups->accumulators[group];
}

/* Checks where every row is and what the selected ones hold. */
static int check_rows(const obs_groups_t *groups, const uint8_t *rows, size_t size, size_t *rows_selected)
{
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    size_t selected = 0;
    int status;
    while ((status = obs_rows_next(&reader, &row)) > 0) {
        if (find_group(groups, row.series) == NULL)
            continue;
        selected++;
        status = obs_row_check(&row);
        if (status != OBS_OK)
            return status;
    }
    *rows_selected = selected;
    return status;
}

int obs_groups_merge_rows(obs_groups_t *groups, const uint8_t *rows, size_t size, size_t *rows_used)
{
    size_t selected;
    int status = check_rows(groups, rows, size, &selected);
    if (status != OBS_OK)
        return status;
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    for (size_t merged = 0; merged < selected && (status = obs_rows_next(&reader, &row)) > 0;) {
        obs_accumulator_t *accumulator = find_group(groups, row.series);
        if (accumulator == NULL)
            continue;
        status = obs_accumulator_merge_row(accumulator, &row);
        if (status != OBS_OK)
            return status;
        merged++;
    }
    *rows_used = selected;
    return OBS_OK;
}

int obs_groups_collect(obs_groups_t *groups, const obs_window_t *window)
{
    for (size_t index = 0; index < window->slot_count; index++) {
        const obs_window_slot_t *slot = obs_window_slot_at(window, index);
        obs_accumulator_t *accumulator = find_group(groups, slot->series);
        if (accumulator == NULL)
            continue;
        int status = obs_accumulator_merge(accumulator, &slot->accumulator);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

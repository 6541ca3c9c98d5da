#include "groups.h"

#include "obs_alloc.h"
#include "rows.h"
#include "sections.h"

#define ABSENT SIZE_MAX

int obs_groups_init(obs_groups_t *groups, size_t group_count, int64_t first_ms, int64_t step_ms, size_t step_count)
{
    *groups = (obs_groups_t){.first_ms = first_ms, .step_ms = step_ms, .step_count = step_count};
    obs_series_index_init(&groups->index);
    if (step_count == 0 || step_ms < 0 || (step_ms == 0 && step_count > 1))
        return OBS_ERR_RANGE;
    if (group_count >= OBS_SERIES_INDEX_ABSENT / step_count)
        return OBS_ERR_RANGE;
    if (group_count == 0)
        return OBS_OK;
    groups->accumulators = obs_calloc(group_count * step_count, sizeof *groups->accumulators);
    if (groups->accumulators == NULL)
        return OBS_ERR_NOMEM;
    groups->group_count = group_count;
    /* The finest scale: the first histogram that an accumulator takes lowers it to its own. */
    int status = OBS_OK;
    for (size_t index = 0; status == OBS_OK && index < group_count * step_count; index++)
        status = obs_accumulator_init(&groups->accumulators[index], OBS_LOGHIST_MAX_SCALE);
    return status;
}

void obs_groups_free(obs_groups_t *groups)
{
    for (size_t index = 0; index < groups->group_count * groups->step_count; index++)
        obs_accumulator_free(&groups->accumulators[index]);
    obs_free(groups->accumulators);
    obs_series_index_free(&groups->index);
    *groups = (obs_groups_t){0};
}

void obs_groups_keep_digests(obs_groups_t *groups)
{
    groups->keeps_digests = true;
    for (size_t index = 0; index < groups->group_count * groups->step_count; index++)
        groups->accumulators[index].keeps_digest = true;
}

void obs_groups_drop_parts(obs_groups_t *groups)
{
    for (size_t index = 0; index < groups->group_count * groups->step_count; index++)
        groups->accumulators[index].drops_parts = true;
}

int obs_groups_select(obs_groups_t *groups, uint32_t series, size_t group)
{
    if (group >= groups->group_count)
        return OBS_ERR_RANGE;
    return obs_series_index_set(&groups->index, series, (uint32_t)group);
}

/* The step that a window belongs to, ABSENT if it lies outside. */
static size_t step_of(const obs_groups_t *groups, int64_t window_ms)
{
    if (groups->step_ms == 0)
        return 0;
    if (window_ms < groups->first_ms)
        return ABSENT;
    uint64_t step = ((uint64_t)window_ms - (uint64_t)groups->first_ms) / (uint64_t)groups->step_ms;
    return step < groups->step_count ? (size_t)step : ABSENT;
}

/* The accumulator of a series' group in a step that is not ABSENT, or NULL. */
static obs_accumulator_t *find(const obs_groups_t *groups, uint32_t series, size_t step)
{
    uint32_t group = obs_series_index_get(&groups->index, series);
    return group == OBS_SERIES_INDEX_ABSENT ? NULL : &groups->accumulators[group * groups->step_count + step];
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
        if (find(groups, row.series, 0) == NULL)
            continue;
        selected++;
        if (!groups->keeps_digests)
            row.digest = NULL;
        status = obs_row_check(&row);
        if (status != OBS_OK)
            return status;
    }
    *rows_selected = selected;
    return status;
}

/* Merges the selected ones of checked rows; how many there are, or more, says when to stop. */
static int merge_rows(obs_groups_t *groups, size_t step, const uint8_t *rows, size_t size, size_t selected)
{
    obs_rows_reader_t reader;
    int status;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    for (size_t merged = 0; merged < selected && (status = obs_rows_next(&reader, &row)) > 0;) {
        obs_accumulator_t *accumulator = find(groups, row.series, step);
        if (accumulator == NULL)
            continue;
        status = obs_accumulator_merge_row(accumulator, &row);
        if (status != OBS_OK)
            return status;
        merged++;
    }
    return OBS_OK;
}

int obs_groups_merge_rows(obs_groups_t *groups, int64_t window_ms, const uint8_t *rows, size_t size, size_t *rows_used)
{
    size_t selected = 0, step = step_of(groups, window_ms);
    if (step == ABSENT) {
        *rows_used = 0;
        return OBS_OK;
    }
    int status = check_rows(groups, rows, size, &selected);
    if (status == OBS_OK)
        status = merge_rows(groups, step, rows, size, selected);
    if (status == OBS_OK)
        *rows_used = selected;
    return status;
}

/* Checks the selected rows of the windows asked for and counts them, or merges them when that is done. */
static int walk_sections(obs_groups_t *groups, int64_t from_ms, int64_t to_ms, const uint8_t *bytes, size_t size,
                         int is_checked, size_t *rows_selected)
{
    obs_sections_reader_t reader;
    obs_section_t section;
    int status = obs_sections_reader_init(&reader, bytes, size);
    while (status == OBS_OK && (status = obs_sections_next(&reader, &section)) > 0) {
        size_t selected = 0, step = step_of(groups, section.window_ms);
        status = OBS_OK;
        if (section.window_ms < from_ms || section.window_ms >= to_ms || step == ABSENT)
            continue;
        if (is_checked)
            status = merge_rows(groups, step, section.rows, section.size, SIZE_MAX);
        else
            status = check_rows(groups, section.rows, section.size, &selected);
        *rows_selected += selected;
    }
    return status;
}

int obs_groups_merge_sections(obs_groups_t *groups, int64_t from_ms, int64_t to_ms, const uint8_t *bytes, size_t size,
                              size_t *rows_used)
{
    size_t selected = 0;
    int status = walk_sections(groups, from_ms, to_ms, bytes, size, 0, &selected);
    if (status != OBS_OK)
        return status;
    *rows_used = selected;
    return selected == 0 ? OBS_OK : walk_sections(groups, from_ms, to_ms, bytes, size, 1, &selected);
}

int obs_groups_collect(obs_groups_t *groups, int64_t window_ms, const obs_window_t *window)
{
    size_t step = step_of(groups, window_ms);
    if (step == ABSENT)
        return OBS_OK;
    for (size_t index = 0; index < window->slot_count; index++) {
        const obs_window_slot_t *slot = obs_window_slot_at(window, index);
        obs_accumulator_t *accumulator = find(groups, slot->series, step);
        if (accumulator == NULL)
            continue;
        int status = obs_accumulator_merge(accumulator, &slot->accumulator);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

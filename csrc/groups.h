/* groups.h: what a query gathers: series id -> group, and one accumulator for each group and step of time.
 *
 *   step of a window = (window - first) / step, all of them in milliseconds; with a step of 0 there is one step
 *   for all windows. Windows outside the steps are passed over.
 *
 * Groups that keep digests merge those of their members too: a group has one only if each of its samples was in one.
 * To merge a digest costs several times what a histogram costs: only who asks pays for it.
 *
 * Rows of series that no group selects are passed over by their size. What comes from outside is
 * checked before a group changes, so that a bad frame changes no answer; when memory runs out the
 * groups hold a part and the query has failed.
 *
 * Not thread-safe; one owner at a time.
 */
#ifndef OBS_GROUPS_H
#define OBS_GROUPS_H

#include "accumulator.h"
#include "series_index.h"
#include "window.h"

typedef struct {
    obs_series_index_t index;        /* series -> group number */
    obs_accumulator_t *accumulators; /* those of one group next to each other, by step */
    size_t group_count;
    size_t step_count;
    int64_t first_ms;
    int64_t step_ms;
    bool keeps_digests;
} obs_groups_t;

/* OBS_ERR_RANGE for too many groups and steps, for no step at all, and for more than one step of no length. */
OBS_MUST_CHECK int obs_groups_init(obs_groups_t *groups, size_t group_count, int64_t first_ms, int64_t step_ms,
                                   size_t step_count);
void obs_groups_free(obs_groups_t *groups);
/* Before anything is merged. */
void obs_groups_keep_digests(obs_groups_t *groups);
/* Columns are merged as far as their histograms and counts go: before anything is merged. */
void obs_groups_drop_parts(obs_groups_t *groups);
/* The series belongs to this group from now on. OBS_ERR_RANGE if there is no such group. */
OBS_MUST_CHECK int obs_groups_select(obs_groups_t *groups, uint32_t series, size_t group);

static inline const obs_accumulator_t *obs_groups_at(const obs_groups_t *groups, size_t group, size_t step)
{
    return &groups->accumulators[group * groups->step_count + step];
}

/* Merges the rows of selected series of the window that starts at window_ms; *rows_used = how many. */
OBS_MUST_CHECK int obs_groups_merge_rows(obs_groups_t *groups, int64_t window_ms, const uint8_t *rows, size_t size,
                                         size_t *rows_used);
/* Merges those of the windows that start in [from_ms, to_ms) of a frame of sections (sections.h). */
OBS_MUST_CHECK int obs_groups_merge_sections(obs_groups_t *groups, int64_t from_ms, int64_t to_ms, const uint8_t *bytes,
                                             size_t size, size_t *rows_used);
/* Merges the selected series of a window. */
OBS_MUST_CHECK int obs_groups_collect(obs_groups_t *groups, int64_t window_ms, const obs_window_t *window);

#endif

/* categories.h: the categories of one column as the program that observes them numbers them: code <-> key.
 *
 *   entries   [ 64 of them ][ 64 of them ] ...      code = piece * 64 + position; pieces never move
 *                   |
 *                   +--> key, hash, bin
 *
 * The categories of a reference come first and have a bin each; those that are met later share the last bin. There are
 * at most OBS_CATEGORIES_MAX codes: what comes beyond is told by its hash alone.
 *
 * Thread safety: one thread at a time adds; any other may read a code that it was told with an acquire after the
 * addition, as the drain is by a record of a ring.
 */
#ifndef OBS_CATEGORIES_H
#define OBS_CATEGORIES_H

#include "column.h"

#define OBS_CATEGORIES_MAX 1024u
#define OBS_CATEGORIES_PIECE 64u

typedef struct {
    obs_category_t *pieces[OBS_CATEGORIES_MAX / OBS_CATEGORIES_PIECE];
    uint32_t count;
    uint32_t bin_count; /* bins, the last one for categories without one of their own; 0: no bins */
} obs_categories_t;

/* Empty; allocates nothing. */
void obs_categories_init(obs_categories_t *categories);
void obs_categories_free(obs_categories_t *categories);
/* The code of a new category, with a bin of its own if it is one of the first bin_count - 1. OBS_ERR_FULL beyond
 * OBS_CATEGORIES_MAX, OBS_ERR_RANGE for a key of more than OBS_TOPK_KEY_MAX bytes. */
OBS_MUST_CHECK int obs_categories_add(obs_categories_t *categories, const void *key, size_t key_size, uint32_t *code);

static inline const obs_category_t *obs_categories_at(const obs_categories_t *categories, uint32_t code)
{
    return &categories->pieces[code / OBS_CATEGORIES_PIECE][code % OBS_CATEGORIES_PIECE];
}

#endif

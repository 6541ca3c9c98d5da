/* series_map.h: a session's series number -> where its samples go in the store.
 *
 * A client numbers its series 0, 1, 2, ...; but the numbers come from outside, so that the memory
 * follows how many are set and not how large they are.
 */
#ifndef OBS_SERIES_MAP_H
#define OBS_SERIES_MAP_H

#include <stdbool.h>

#include "series_index.h"

#define OBS_SERIES_REFUSED UINT32_MAX

typedef struct {
    uint32_t series;   /* store-wide id or OBS_SERIES_REFUSED */
    uint8_t kind;      /* samples of another kind are refused; 0: any kind */
    uint8_t scale;     /* of a histogram that begins here */
    bool keeps_digest; /* a t-digest is kept beside the histogram */
} obs_series_target_t;

typedef struct {
    obs_series_index_t index; /* session series number -> position in targets */
    obs_series_target_t *targets;
    uint32_t *numbers; /* of the target at the same position, in the order in which they were first set */
    size_t count;
    size_t capacity;
} obs_series_map_t;

/* Empty; allocates nothing. */
void obs_series_map_init(obs_series_map_t *map);
void obs_series_map_free(obs_series_map_t *map);
/* On failure the map is unchanged. */
OBS_MUST_CHECK int obs_series_map_set(obs_series_map_t *map, uint32_t number, obs_series_target_t target);

/* Where a number goes, or NULL if it has not been set. */
static inline const obs_series_target_t *obs_series_map_find(const obs_series_map_t *map, uint32_t number)
{
    uint32_t position = obs_series_index_get(&map->index, number);
    return position == OBS_SERIES_INDEX_ABSENT ? NULL : &map->targets[position];
}

#endif

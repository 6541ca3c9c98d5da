/* window.h: one window in memory: series id -> what its samples come to.
 *
 *   index   series id -> slot number           (series_index.h)
 *   chunks  [ chunk 0 ][ chunk 1 ] ...         slot number = chunk * 64 + position
 *               |
 *               +--> [ slot ][ slot ] ... 64   slot = { accumulator, series, kind }
 *
 * Slots never move, so growing copies nothing but the list of chunks. A series has one kind in a
 * window; samples of another kind are refused and counted. Whether it keeps a t-digest is decided when its slot is
 * made; rows bring theirs unless the window drops digests.
 *
 * What comes from outside is checked before anything changes: bad bytes change nothing. When memory
 * runs out half-way the window stays consistent and holds what the outputs say has been added.
 *
 * Not thread-safe; one owner at a time.
 */
#ifndef OBS_WINDOW_H
#define OBS_WINDOW_H

#include "accumulator.h"
#include "series_index.h"
#include "series_map.h"

#define OBS_WINDOW_CHUNK_SLOTS 64u
/* A series with this many samples in one window takes no more of them (each addition is at most as
 * large, so that 64 bits are far): 28 samples a picosecond for ten seconds. */
#define OBS_WINDOW_MAX_SAMPLES (UINT64_C(1) << 48)

typedef struct {
    obs_accumulator_t accumulator;
    uint32_t series;
    uint8_t kind;
} obs_window_slot_t;

typedef struct {
    obs_series_index_t index;
    obs_window_slot_t **chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    size_t slot_count;
    size_t accumulator_bytes; /* allocated by the accumulators, kept up to date at every change */
    uint64_t sample_count;
    bool drops_digests; /* and parts of columns; set by the owner before the first sample */
} obs_window_t;

/* Empty; allocates nothing. */
void obs_window_init(obs_window_t *window);
void obs_window_free(obs_window_t *window);
/* Everything that it takes, itself included; a few additions, not a walk. */
size_t obs_window_memory_bytes(const obs_window_t *window);

static inline obs_window_slot_t *obs_window_slot_at(const obs_window_t *window, size_t slot)
{
    return &window->chunks[slot / OBS_WINDOW_CHUNK_SLOTS][slot % OBS_WINDOW_CHUNK_SLOTS];
}

/* The slot of a series, or NULL. */
static inline const obs_window_slot_t *obs_window_find(const obs_window_t *window, uint32_t series)
{
    uint32_t slot = obs_series_index_get(&window->index, series);
    return slot == OBS_SERIES_INDEX_ABSENT ? NULL : obs_window_slot_at(window, slot);
}

typedef struct {
    uint64_t applied; /* samples */
    uint64_t refused; /* samples of a series that is refused, unknown, full or of another kind */
} obs_applied_t;

/* Adds the entries of a checked body to the series that the map says. *applied is right even on failure:
 * OBS_ERR_NOMEM after a part, or what obs_body_check would have found. */
OBS_MUST_CHECK int obs_window_apply(obs_window_t *window, const uint8_t *body, size_t size, const obs_series_map_t *map,
                                    int64_t end_ms, obs_applied_t *applied);
/* Single samples of the agent's own series. OBS_ERR_STATE if the series has another kind here;
 * OBS_ERR_RANGE for a kind that has no values, a counter's sum that is negative or not finite, and for
 * more samples than OBS_WINDOW_MAX_SAMPLES. */
OBS_MUST_CHECK int obs_window_add_value(obs_window_t *window, const obs_series_target_t *target, double value,
                                        uint64_t weight, int64_t time_ms);
OBS_MUST_CHECK int obs_window_add_counter(obs_window_t *window, uint32_t series, uint64_t increments, double sum);

/* Adds rows. OBS_ERR_CORRUPT or OBS_ERR_VERSION changes nothing; so does a row whose series has another
 * kind here (OBS_ERR_STATE). */
OBS_MUST_CHECK int obs_window_merge_rows(obs_window_t *into, const uint8_t *rows, size_t size);
/* Adds another window. OBS_ERR_STATE (nothing changed) if a series has another kind there. */
OBS_MUST_CHECK int obs_window_merge(obs_window_t *into, const obs_window_t *from);

#endif

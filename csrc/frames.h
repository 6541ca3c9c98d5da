/* frames.h: a window as frames of rows, each small enough to be compressed and found by itself.
 *
 *   rows    [ frame 0: rows of series 3..170 ][ frame 1: rows of 171..350 ] ...
 *   frames  { first_series, last_series, offset, size } for each
 */
#ifndef OBS_FRAMES_H
#define OBS_FRAMES_H

#include "bytes.h"
#include "window.h"

typedef struct {
    uint32_t first_series;
    uint32_t last_series;
    size_t offset; /* into rows */
    size_t size;
} obs_frame_t;

typedef struct {
    obs_bytes_t rows; /* of all frames, one after another */
    obs_frame_t *frames;
    size_t frame_count;
    size_t frame_capacity;
} obs_frames_t;

void obs_frames_init(obs_frames_t *frames);
void obs_frames_free(obs_frames_t *frames);
/* Encodes a window by ascending series id into frames of at most max_bytes each (one row at least); frames
 * is empty before and, on failure, may be freed only. */
OBS_MUST_CHECK int obs_frames_encode(obs_frames_t *frames, const obs_window_t *window, size_t max_bytes);

#endif

/* transpose.h: from rows by window to frames by series: how a compaction turns what it reads.
 *
 *   in    rows of window 1, rows of window 2, ...           in any order, windows more than once
 *   out   [ series 3: windows 1..360 ][ series 4..9: windows 1..360 ] ...     frames of sections (sections.h)
 *
 *   rows    { window, series, offset, size } -+      one for each row; sorted by series, then window
 *   tails   [ kind, size, payload ] <---------+      rows without their series, in the order in which they came
 *
 * Rows stay as they are encoded, so that memory follows the bytes that were added; only rows of one series
 * and window (partials) are decoded and merged into one. A frame holds a series' whole history, or those of a few
 * neighbours; a history that is too long for a frame has that one to itself and goes on in the next.
 *
 * With a width, rows go to the window of that many ms that holds theirs: a roll-up.
 *
 * Rows are checked when they are added: bad bytes change nothing. Not thread-safe; one owner at a time.
 */
#ifndef OBS_TRANSPOSE_H
#define OBS_TRANSPOSE_H

#include "bytes.h"

typedef struct {
    int64_t window_ms;
    uint32_t series;
    uint32_t offset; /* into tails */
    uint32_t size;
} obs_transpose_row_t;

typedef struct {
    obs_bytes_t tails;
    obs_transpose_row_t *rows;
    size_t row_count;
    size_t row_capacity;
    int64_t width_ms; /* of the windows that come out; 0: those that went in */
} obs_transpose_t;

typedef struct {
    int64_t first_window_ms;
    int64_t last_window_ms;
    uint32_t first_series;
    uint32_t last_series;
    size_t offset; /* into bytes */
    size_t size;
} obs_transposed_frame_t;

typedef struct {
    obs_bytes_t bytes; /* of all frames, one after another */
    obs_transposed_frame_t *frames;
    size_t frame_count;
    size_t frame_capacity;
} obs_transposed_t;

/* Empty; allocates nothing. width_ms is 0 or more. */
void obs_transpose_init(obs_transpose_t *transpose, int64_t width_ms);
void obs_transpose_free(obs_transpose_t *transpose);
/* Takes the rows of the series first..last, both included. OBS_ERR_FULL beyond 4 GiB; on failure unchanged. */
OBS_MUST_CHECK int obs_transpose_add_rows(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series,
                                          int64_t window_ms, const uint8_t *rows, size_t size);
/* The same for the sections of a frame that is cut by series already. */
OBS_MUST_CHECK int obs_transpose_add_sections(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series,
                                              const uint8_t *bytes, size_t size);

void obs_transposed_init(obs_transposed_t *out);
void obs_transposed_free(obs_transposed_t *out);
/* Merges partials and cuts everything added into frames of at most max_bytes each (one row at least). out is empty
 * before. OBS_ERR_STATE if a series has two kinds in one window; on failure both may be freed only. */
OBS_MUST_CHECK int obs_transpose_encode(obs_transpose_t *transpose, size_t max_bytes, obs_transposed_t *out);

#endif

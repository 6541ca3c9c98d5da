/* sections.h: the rows of many windows as bytes: the content of a frame that is cut by series first.
 *
 *     sections := i64 first window, section*          ascending by window, none twice
 *     section  := varint step, varint size, size bytes of rows (rows.h)
 *     step     := ms since the window of the section before; 0 in the first section, and only there
 *
 * So a frame of one series is its history: [window, row][window, row] ...; a frame of a few neighbours has a
 * few rows in each section. The reader is safe on any bytes; what is in the rows it does not check.
 */
#ifndef OBS_SECTIONS_H
#define OBS_SECTIONS_H

#include "obs.h"

typedef struct {
    const uint8_t *cursor;
    const uint8_t *end;
    int64_t window_ms;
    int begun;
} obs_sections_reader_t;

typedef struct {
    int64_t window_ms; /* start */
    const uint8_t *rows;
    size_t size;
} obs_section_t;

/* OBS_ERR_CORRUPT if not even the first window is there. */
OBS_MUST_CHECK int obs_sections_reader_init(obs_sections_reader_t *reader, const uint8_t *bytes, size_t size);
/* 1 and the next section, 0 at the end, or a negative status (and the reader stays where it is). */
OBS_MUST_CHECK int obs_sections_next(obs_sections_reader_t *reader, obs_section_t *section);

#endif

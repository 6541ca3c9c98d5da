#include "sections.h"

#include "obs_port.h"
#include "varint.h"

int obs_sections_reader_init(obs_sections_reader_t *reader, const uint8_t *bytes, size_t size)
{
    if (size < sizeof(int64_t))
        return OBS_ERR_CORRUPT;
    *reader = (obs_sections_reader_t){
        .cursor = bytes + sizeof(int64_t),
        .end = bytes + size,
        .window_ms = (int64_t)obs_load_u64(bytes),
    };
    return OBS_OK;
}

/* The window that follows from a step, or a status. */
static int next_window(const obs_sections_reader_t *reader, uint64_t step, int64_t *window_ms)
{
    if ((step == 0) != (reader->begun == 0))
        return OBS_ERR_CORRUPT;
    if (step > (uint64_t)INT64_MAX - (uint64_t)reader->window_ms)
        return OBS_ERR_CORRUPT;
    *window_ms = (int64_t)((uint64_t)reader->window_ms + step);
    return OBS_OK;
}

int obs_sections_next(obs_sections_reader_t *reader, obs_section_t *section)
{
    const uint8_t *cursor = reader->cursor;
    if (cursor == reader->end)
        return 0;
    uint64_t step, size;
    int64_t window_ms = 0;
    int status = obs_varint_get(&cursor, reader->end, &step);
    if (status == OBS_OK)
        status = next_window(reader, step, &window_ms);
    if (status == OBS_OK)
        status = obs_varint_get(&cursor, reader->end, &size);
    if (status != OBS_OK)
        return status;
    if (size > (size_t)(reader->end - cursor))
        return OBS_ERR_CORRUPT;
    *section = (obs_section_t){.window_ms = window_ms, .rows = cursor, .size = (size_t)size};
    reader->cursor = cursor + size;
    reader->window_ms = window_ms;
    reader->begun = 1;
    return 1;
}

/* bytes.h: a byte string that grows, for the serialisers.
 *
 * obs_bytes_reserve makes room, the caller writes at bytes + size and then moves size. Capacity at
 * least doubles, so that appending costs amortised constant time per byte.
 */
#ifndef OBS_BYTES_H
#define OBS_BYTES_H

#include "obs.h"
#include "obs_alloc.h"

#define OBS_BYTES_FIRST_CAPACITY 1024

typedef struct {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} obs_bytes_t;

static inline void obs_bytes_init(obs_bytes_t *buffer)
{
    *buffer = (obs_bytes_t){0};
}

static inline void obs_bytes_free(obs_bytes_t *buffer)
{
    obs_free(buffer->bytes);
    *buffer = (obs_bytes_t){0};
}

/* Room for extra more bytes. On OBS_ERR_NOMEM nothing has changed. */
OBS_MUST_CHECK static inline int obs_bytes_reserve(obs_bytes_t *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->size)
        return OBS_OK;
    if (extra > SIZE_MAX / 2 - buffer->size)
        return OBS_ERR_NOMEM;
    size_t capacity = buffer->capacity < OBS_BYTES_FIRST_CAPACITY ? OBS_BYTES_FIRST_CAPACITY : buffer->capacity;
    while (capacity - buffer->size < extra)
        capacity *= 2;
    uint8_t *bytes = obs_realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return OBS_ERR_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return OBS_OK;
}

#endif

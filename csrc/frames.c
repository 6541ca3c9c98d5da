#include "frames.h"

#include "obs_alloc.h"

void obs_frames_init(obs_frames_t *frames)
{
    *frames = (obs_frames_t){0};
}

void obs_frames_free(obs_frames_t *frames)
{
    obs_bytes_free(&frames->rows);
    obs_free(frames->frames);
    obs_frames_init(frames);
}

static int compare_keys(const void *left, const void *right)
{
    uint64_t l = *(const uint64_t *)left, r = *(const uint64_t *)right;
    return (l > r) - (l < r);
}

/* Keys (series, slot number) in ascending order. A window filled from rows has them so already. */
static void fill_sorted(const obs_window_t *window, uint64_t *keys)
{
    int sorted = 1;
    for (size_t slot = 0; slot < window->slot_count; slot++) {
        keys[slot] = (uint64_t)obs_window_slot_at(window, slot)->series << 32 | slot;
        sorted &= slot == 0 || keys[slot - 1] < keys[slot];
    }
    if (!sorted)
        qsort(keys, window->slot_count, sizeof *keys, compare_keys);
}

static int add_frame(obs_frames_t *frames, obs_frame_t frame)
{
    if (frames->frame_count == frames->frame_capacity) {
        size_t capacity = frames->frame_capacity == 0 ? 8 : frames->frame_capacity * 2;
        obs_frame_t *grown = obs_realloc(frames->frames, capacity * sizeof *grown);
        if (grown == NULL)
            return OBS_ERR_NOMEM;
        frames->frames = grown;
        frames->frame_capacity = capacity;
    }
    frames->frames[frames->frame_count++] = frame;
    return OBS_OK;
}

static int put_slot(const obs_window_slot_t *slot, obs_rows_writer_t *writer)
{
    return obs_accumulator_put(&slot->accumulator, slot->kind, slot->series, writer);
}

/* Encodes the slots of keys[0..key_count) until the frame is full; *used = how many of them. */
static int encode_frame(obs_frames_t *frames, const obs_window_t *window, const uint64_t *keys, size_t key_count,
                        size_t max_bytes, size_t *used)
{
    obs_frame_t frame = {.offset = frames->rows.size};
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, &frames->rows);
    size_t key = 0;
    for (; key < key_count; key++) {
        const obs_window_slot_t *slot = obs_window_slot_at(window, (uint32_t)keys[key]);
        size_t size_before = frames->rows.size;
        int status = put_slot(slot, &writer);
        if (status != OBS_OK)
            return status;
        if (key > 0 && frames->rows.size - frame.offset > max_bytes) {
            frames->rows.size = size_before; /* this row opens the next frame */
            break;
        }
        frame.last_series = slot->series;
    }
    frame.first_series = (uint32_t)(keys[0] >> 32);
    frame.size = frames->rows.size - frame.offset;
    *used = key;
    return add_frame(frames, frame);
}

int obs_frames_encode(obs_frames_t *frames, const obs_window_t *window, size_t max_bytes)
{
    if (window->slot_count == 0)
        return OBS_OK;
    uint64_t *keys = obs_malloc(window->slot_count * sizeof *keys);
    if (keys == NULL)
        return OBS_ERR_NOMEM;
    fill_sorted(window, keys);
    int status = OBS_OK;
    for (size_t done = 0, used; status == OBS_OK && done < window->slot_count; done += used)
        status = encode_frame(frames, window, keys + done, window->slot_count - done, max_bytes, &used);
    obs_free(keys);
    return status;
}

// kernels: body window accumulator frames rows loghist tdigest series_map series_index column edges hll moments topk obs
/* Any bytes as the body of a samples message: an accepted one is applied to a window, which then counts what the check
 * said; a refused one is refused by whoever reads it. */
#include "fuzz.h"
#include "windows.h"

enum { KNOWN = 64, END_MS = 1000 };

/* Numbers below 64: of any kind, of each, with digests and without, refused, several numbers of one series. */
static obs_series_map_t some_map(void)
{
    obs_series_map_t map;
    obs_series_map_init(&map);
    for (uint32_t number = 0; number < KNOWN; number++) {
        obs_series_target_t target = {.series = number % 48,
                                      .kind = (uint8_t)(number % 4),
                                      .scale = (uint8_t)(number % 9),
                                      .keeps_digest = number % 2 == 0};
        if (number % 16 == 15)
            target.series = OBS_SERIES_REFUSED;
        CHECK_OK(obs_series_map_set(&map, number, target));
    }
    return map;
}

/* What a checkpoint would write of the window is sound, and holds as much. */
static void check_frames(const obs_window_t *window)
{
    obs_bytes_t rows = rows_of(window);
    obs_window_t again;
    obs_window_init(&again);
    CHECK_OK(obs_window_merge_rows(&again, rows.bytes, rows.size));
    CHECK_EQ(again.slot_count, window->slot_count);
    CHECK_EQ(again.sample_count, window->sample_count);
    check_window_totals(&again);
    obs_window_free(&again);
    obs_bytes_free(&rows);
}

static void check_applied(const uint8_t *data, size_t size, uint64_t samples)
{
    obs_series_map_t map = some_map();
    obs_window_t window;
    obs_window_init(&window);
    uint64_t total = 0;
    for (int time = 0; time < 2; time++) {
        obs_applied_t applied;
        CHECK_OK(obs_window_apply(&window, data, size, &map, END_MS, &applied));
        CHECK_EQ(applied.applied + applied.refused, samples);
        total += applied.applied;
        CHECK_EQ(window.sample_count, total);
        check_window_totals(&window);
    }
    check_frames(&window);
    obs_window_free(&window);
    obs_series_map_free(&map);
}

/* Nobody checks a body of the journal again: applying it reads nothing outside of it whatever it is. */
static void check_refused(const uint8_t *data, size_t size, int status)
{
    fuzz_check_status(status);
    obs_series_map_t map = some_map();
    obs_window_t window;
    obs_applied_t applied;
    obs_window_init(&window);
    int applying = obs_window_apply(&window, data, size, &map, END_MS, &applied);
    if (applying != OBS_OK && applying != OBS_ERR_RANGE)
        fuzz_check_status(applying);
    CHECK(window.sample_count == applied.applied);
    check_window_totals(&window);
    obs_window_free(&window);
    obs_series_map_free(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 77;
    int status = obs_body_check(data, size, &samples);
    if (status == OBS_OK) {
        CHECK(samples <= OBS_BODY_MAX_SAMPLES);
        check_applied(data, size, samples);
    } else {
        CHECK(samples == 77);
        check_refused(data, size, status);
    }
    return 0;
}

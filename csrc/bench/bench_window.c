// kernels: frames groups sections window accumulator series_map series_index body rows loghist tdigest column edges hll moments topk obs
/* What the agent does with a batch and a query with a frame, from 1 to 20,000 series. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "body.h"
#include "frames.h"
#include "groups.h"
#include "window.h"

#define MAX_SERIES 20000u
#define WINDOW_SAMPLES 1000u /* a series in a window */
#define BODY_SAMPLES 100000u

static uint64_t random_state = 1;

static double uniform(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return ((double)(random_state >> 11) + 0.5) * 0x1p-53;
}

/* A latency of about 20 ms, log-normal with sigma 0.7. */
static double latency(void)
{
    return 0.02 * exp(0.7 * sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
}

static void must(int status)
{
    if (status != OBS_OK) {
        printf("%s\n", obs_strerror(status));
        exit(1);
    }
}

typedef struct {
    obs_window_t window;
    obs_body_t body;
    obs_series_map_t map;
    obs_frames_t frames;
    obs_groups_t groups;
} state_t;

static obs_series_target_t target_of(uint32_t series)
{
    return (obs_series_target_t){.series = series, .kind = OBS_KIND_HISTOGRAM, .scale = 6};
}

static void begin(state_t *state)
{
    obs_window_init(&state->window);
    obs_body_init(&state->body);
    obs_frames_init(&state->frames);
    must(obs_body_begin(&state->body));
    obs_series_map_init(&state->map);
    for (uint32_t series = 0; series < MAX_SERIES; series++)
        must(obs_series_map_set(&state->map, series, target_of(series + 1)));
}

static void end(state_t *state)
{
    obs_window_free(&state->window);
    obs_body_free(&state->body);
    obs_frames_free(&state->frames);
    obs_series_map_free(&state->map);
}

static void apply(void *opaque)
{
    state_t *state = opaque;
    obs_applied_t applied;
    must(obs_window_apply(&state->window, state->body.bytes, state->body.size, &state->map, 0, &applied));
}

static void check(void *opaque)
{
    state_t *state = opaque;
    must(obs_body_check(state->body.bytes, state->body.size, NULL));
}

static void bench_runs(uint32_t series_count, uint32_t run_length)
{
    state_t state;
    begin(&state);
    double values[64];
    for (uint32_t done = 0; done < BODY_SAMPLES; done += run_length) {
        for (uint32_t index = 0; index < run_length; index++)
            values[index] = latency();
        must(obs_body_put_run(&state.body, done / run_length % series_count, values, run_length));
    }
    char name[80];
    snprintf(name, sizeof name, "apply runs of %u, %u series", run_length, series_count);
    bench(name, "sample", BODY_SAMPLES, apply, &state);
    end(&state);
}

static void bench_loghists(uint32_t series_count, uint32_t hist_samples)
{
    state_t state;
    begin(&state);
    uint32_t hist_count = series_count < 200 ? 200 : series_count;
    for (uint32_t done = 0; done < hist_count; done++) {
        obs_loghist_t hist;
        must(obs_loghist_init(&hist, 6));
        for (uint32_t index = 0; index < hist_samples; index++)
            must(obs_loghist_add(&hist, latency(), 1));
        must(obs_body_put_loghist(&state.body, done % series_count, &hist));
        obs_loghist_free(&hist);
    }
    char name[80];
    snprintf(name, sizeof name, "apply loghists of %u samples (%zu B), %u series", hist_samples,
             state.body.size / hist_count, series_count);
    bench(name, "loghist", hist_count, apply, &state);
    snprintf(name, sizeof name, "check loghists of %u samples", hist_samples);
    bench(name, "loghist", hist_count, check, &state);
    end(&state);
}

static void encode(void *opaque)
{
    state_t *state = opaque;
    obs_frames_free(&state->frames);
    must(obs_frames_encode(&state->frames, &state->window, 64 << 10));
}

static void merge_rows(void *opaque)
{
    state_t *state = opaque;
    for (size_t index = 0; index < state->frames.frame_count; index++) {
        const obs_frame_t *frame = &state->frames.frames[index];
        size_t used;
        must(obs_groups_merge_rows(&state->groups, 0, state->frames.rows.bytes + frame->offset, frame->size, &used));
        BENCH_KEEP(used);
    }
}

static void bench_rows(void)
{
    state_t state;
    begin(&state);
    for (uint32_t series = 1; series <= MAX_SERIES; series++) {
        const obs_series_target_t target = target_of(series);
        for (uint32_t index = 0; index < WINDOW_SAMPLES; index++)
            must(obs_window_add_value(&state.window, &target, latency(), 1, 0));
    }
    printf("  window of %u series: %zu B a series in memory\n", MAX_SERIES,
           obs_window_memory_bytes(&state.window) / MAX_SERIES);
    bench("encode a window into frames", "series", MAX_SERIES, encode, &state);
    printf("  rows: %zu B a series\n", state.frames.rows.size / MAX_SERIES);
    must(obs_groups_init(&state.groups, 1, 0, 0, 1));
    bench("pass over the rows of series nobody asked for", "series", MAX_SERIES, merge_rows, &state);
    for (uint32_t series = 1; series <= MAX_SERIES; series++)
        must(obs_groups_select(&state.groups, series, 0));
    bench("merge rows into one group", "series", MAX_SERIES, merge_rows, &state);
    obs_groups_free(&state.groups);
    end(&state);
}

int main(void)
{
    printf("window\n");
    bench_runs(1, 8);
    bench_runs(16, 8);
    bench_runs(1000, 8);
    bench_runs(20000, 8);
    bench_runs(20000, 1);
    bench_loghists(1, 100);
    bench_loghists(1, 1000);
    bench_loghists(2000, 100);
    bench_rows();
    return 0;
}

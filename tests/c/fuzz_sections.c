// kernels: rows transpose sections window accumulator frames groups body loghist tdigest series_map series_index column edges hll moments topk obs
/* Any bytes as a frame of a compacted block: windows ascend and lie inside of it; a query that takes the frame whole
 * gets what one gets that takes its sections apart; a compaction of it loses nothing. */
#include "fuzz.h"
#include "groups.h"
#include "sections.h"
#include "transpose.h"
#include "windows.h"

enum { GROUPS = 8 };

/* Eight groups of four of the first series each. */
static obs_groups_t some_groups(void)
{
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, GROUPS, 0, 0, 1));
    for (uint32_t series = 0; series < 4 * GROUPS; series++)
        CHECK_OK(obs_groups_select(&groups, series, series % GROUPS));
    return groups;
}

static void check_same_groups(const obs_groups_t *left, const obs_groups_t *right)
{
    for (size_t group = 0; group < GROUPS; group++) {
        const obs_accumulator_t *ours = obs_groups_at(left, group, 0), *theirs = obs_groups_at(right, group, 0);
        CHECK(ours->increments == theirs->increments);
        CHECK(ours->hist.count == theirs->hist.count && ours->hist.scale == theirs->hist.scale);
        CHECK(obs_accumulator_samples(ours) == obs_accumulator_samples(theirs));
        CHECK_EQ(ours->last_ms, theirs->last_ms);
    }
}

/* Walks the sections; 0 if they are no frame, or rows of them are none. Adds their rows to groups. */
static int walk(const uint8_t *data, size_t size, obs_groups_t *groups, uint64_t *samples)
{
    obs_sections_reader_t reader;
    obs_section_t section;
    if (obs_sections_reader_init(&reader, data, size) != OBS_OK)
        return 0;
    int status;
    for (int64_t before_ms = INT64_MIN; (status = obs_sections_next(&reader, &section)) > 0;) {
        size_t used;
        CHECK(section.rows >= data && section.size <= (size_t)(data + size - section.rows));
        CHECK(section.window_ms > before_ms || before_ms == INT64_MIN);
        before_ms = section.window_ms;
        obs_window_t window;
        obs_window_init(&window);
        status = obs_window_merge_rows(&window, section.rows, section.size);
        for (size_t slot = 0; slot < window.slot_count; slot++)
            *samples = fuzz_add(*samples, obs_accumulator_samples(&obs_window_slot_at(&window, slot)->accumulator));
        obs_window_free(&window);
        if (status != OBS_OK)
            return 0;
        if (section.window_ms < INT64_MAX) /* ranges end before their end */
            CHECK_OK(obs_groups_merge_rows(groups, section.window_ms, section.rows, section.size, &used));
    }
    return status == OBS_OK;
}

/* Everything, in the order of the frames, is as much as before; nothing was too large but single rows. */
static void check_compacted(obs_transpose_t *transpose, size_t max_bytes, const obs_groups_t *expected)
{
    obs_transposed_t out;
    obs_groups_t groups = some_groups();
    obs_transposed_init(&out);
    CHECK_OK(obs_transpose_encode(transpose, max_bytes, &out));
    for (size_t index = 0; index < out.frame_count; index++) {
        const obs_transposed_frame_t *frame = &out.frames[index];
        size_t used;
        CHECK(frame->first_series <= frame->last_series && frame->first_window_ms <= frame->last_window_ms);
        CHECK(index == 0 || out.frames[index - 1].last_series <= frame->first_series);
        CHECK(frame->size <= max_bytes || frame->first_window_ms == frame->last_window_ms);
        CHECK((uint64_t)frame->last_window_ms - (uint64_t)frame->first_window_ms <= UINT32_MAX);
        CHECK_OK(obs_groups_merge_sections(&groups, INT64_MIN, INT64_MAX, out.bytes.bytes + frame->offset, frame->size,
                                           &used));
    }
    check_same_groups(&groups, expected);
    obs_groups_free(&groups);
    obs_transposed_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 0;
    size_t used = 77;
    obs_groups_t apart = some_groups(), whole = some_groups();
    obs_transpose_t transpose;
    obs_transpose_init(&transpose, 0);
    int sound = walk(data, size, &apart, &samples);
    int status = obs_groups_merge_sections(&whole, INT64_MIN, INT64_MAX, data, size, &used);
    int adding = obs_transpose_add_sections(&transpose, 0, UINT32_MAX, data, size);
    if (sound) {
        CHECK_OK(status);
        CHECK_OK(adding);
        if (samples != UINT64_MAX) { /* else an accumulator may be full: which samples it took depends on their order */
            check_same_groups(&whole, &apart);
            check_compacted(&transpose, 64, &whole);
        }
    } else {
        if (status != OBS_OK) /* nothing is wrong as far as a query sees */
            fuzz_check_status(status);
        CHECK(adding != OBS_OK);
        fuzz_check_status(adding);
        CHECK_EQ(transpose.row_count, 0);
    }
    obs_transpose_free(&transpose);
    obs_groups_free(&apart);
    obs_groups_free(&whole);
    return 0;
}

// kernels: transpose groups sections frames window accumulator series_map series_index body rows loghist tdigest column edges hll moments topk obs
#include "transpose.h"

#include "alloc_seam.h"
#include "groups.h"
#include "hostile.h"
#include "sections.h"
#include "windows.h"

#define STEP_MS 10000
#define SERIES 40u
#define WINDOWS 12u

/* In one window each series has other samples, and some have none. */
static int fill(obs_window_t *window, uint32_t number, uint32_t partial)
{
    int status = OBS_OK;
    for (uint32_t series = 1; status == OBS_OK && series <= SERIES; series++)
        for (uint32_t index = 0; status == OBS_OK && index < (series + number) % 5; index++)
            status = add_sample(window, series, 100 * number + 10 * partial + index);
    return status;
}

static int64_t window_ms(uint32_t number)
{
    return (int64_t)(number * number) * STEP_MS - STEP_MS; /* with gaps, the first before the epoch */
}

/* Adds window by window; every third one comes in two partials, the later of them first. */
static int add_all(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series)
{
    int status = OBS_OK;
    for (uint32_t turn = 0; status == OBS_OK && turn < 2 * WINDOWS; turn++) {
        uint32_t number = turn / 2, partial = 1 - turn % 2;
        if (partial == 1 && number % 3 != 0)
            continue;
        obs_window_t window;
        obs_window_init(&window);
        status = fill(&window, number, partial);
        obs_frames_t frames;
        obs_frames_init(&frames);
        if (status == OBS_OK)
            status = obs_frames_encode(&frames, &window, SIZE_MAX);
        if (status == OBS_OK)
            status = obs_transpose_add_rows(transpose, first_series, last_series, window_ms(number), frames.rows.bytes,
                                            frames.rows.size);
        obs_frames_free(&frames);
        obs_window_free(&window);
    }
    return status;
}

/* What the series of a window must come to. */
static void expect_window(const obs_transposed_t *out, uint32_t number)
{
    obs_window_t expected;
    obs_window_init(&expected);
    CHECK_OK(fill(&expected, number, 0));
    if (number % 3 == 0)
        CHECK_OK(fill(&expected, number, 1));
    obs_groups_t found, wanted;
    CHECK_OK(obs_groups_init(&found, SERIES + 1, 0, 0, 1));
    CHECK_OK(obs_groups_init(&wanted, SERIES + 1, 0, 0, 1));
    for (uint32_t series = 1; series <= SERIES; series++) {
        CHECK_OK(obs_groups_select(&found, series, series));
        CHECK_OK(obs_groups_select(&wanted, series, series));
    }
    CHECK_OK(obs_groups_collect(&wanted, 0, &expected));
    size_t used, rows_used = 0;
    for (size_t index = 0; index < out->frame_count; index++) {
        const obs_transposed_frame_t *frame = &out->frames[index];
        CHECK_OK(obs_groups_merge_sections(&found, window_ms(number), window_ms(number) + 1,
                                           out->bytes.bytes + frame->offset, frame->size, &used));
        rows_used += used;
    }
    CHECK_EQ(rows_used, expected.slot_count); /* partials have become one row */
    for (uint32_t series = 1; series <= SERIES; series++) {
        const obs_accumulator_t *left = obs_groups_at(&found, series, 0), *right = obs_groups_at(&wanted, series, 0);
        CHECK_EQ(obs_accumulator_samples(left), obs_accumulator_samples(right));
        CHECK(left->sum == right->sum && left->hist.sum == right->hist.sum);
        CHECK(left->last_ms == right->last_ms && left->last == right->last);
    }
    obs_groups_free(&found);
    obs_groups_free(&wanted);
    obs_window_free(&expected);
}

/* Every row lies where the frame says, and the frame is within its limit. */
static void check_frame(const obs_transposed_t *out, const obs_transposed_frame_t *frame, size_t max_bytes)
{
    obs_sections_reader_t reader;
    obs_section_t section;
    size_t row_count = 0;
    int status;
    CHECK_OK(obs_sections_reader_init(&reader, out->bytes.bytes + frame->offset, frame->size));
    while ((status = obs_sections_next(&reader, &section)) > 0) {
        CHECK(section.window_ms >= frame->first_window_ms && section.window_ms <= frame->last_window_ms);
        obs_rows_reader_t rows;
        obs_row_t row;
        obs_rows_reader_init(&rows, section.rows, section.size);
        while ((status = obs_rows_next(&rows, &row)) > 0) {
            CHECK(row.series >= frame->first_series && row.series <= frame->last_series);
            row_count++;
        }
        CHECK_OK(status);
    }
    CHECK_OK(status);
    CHECK(frame->size <= max_bytes || row_count == 1);
}

static void check_frames(const obs_transposed_t *out, size_t max_bytes)
{
    size_t offset = 0;
    for (size_t index = 0; index < out->frame_count; index++) {
        const obs_transposed_frame_t *frame = &out->frames[index], *before = frame - 1;
        CHECK_EQ(frame->offset, offset);
        offset += frame->size;
        check_frame(out, frame, max_bytes);
        if (index == 0)
            continue;
        CHECK(frame->first_series >= before->last_series);
        if (frame->first_series == before->last_series) /* a history that goes on */
            CHECK(before->first_series == before->last_series);
    }
    CHECK_EQ(offset, out->bytes.size);
}

static size_t transposed_frames(size_t max_bytes)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    CHECK_OK(add_all(&transpose, 0, UINT32_MAX));
    CHECK_OK(obs_transpose_encode(&transpose, max_bytes, &out));
    check_frames(&out, max_bytes);
    for (uint32_t number = 0; number < WINDOWS; number++)
        expect_window(&out, number);
    size_t frame_count = out.frame_count;
    obs_transpose_free(&transpose);
    obs_transposed_free(&out);
    return frame_count;
}

static void cuts_by_series_and_keeps_every_sample(void)
{
    CHECK_EQ(transposed_frames(SIZE_MAX), 1);
    size_t few = transposed_frames(4096), more = transposed_frames(1000), most = transposed_frames(1);
    CHECK(few > 2 && few < SERIES && more > few);
    CHECK(most > 300); /* a frame for each row */
}

static void nothing_becomes_no_frame(void)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    CHECK_OK(obs_transpose_add_rows(&transpose, 0, UINT32_MAX, 0, NULL, 0));
    CHECK_OK(obs_transpose_encode(&transpose, 100, &out));
    CHECK_EQ(out.frame_count, 0);
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
}

/* What was transposed in stripes of series and put together again is what was transposed at once. */
static void stripes_add_up_and_sections_can_be_transposed_again(void)
{
    obs_transpose_t stripe, all, again;
    obs_transposed_t whole, part, out;
    obs_transpose_init(&all, 0);
    obs_transpose_init(&again, 0);
    obs_transposed_init(&whole);
    obs_transposed_init(&out);
    CHECK_OK(add_all(&all, 0, UINT32_MAX));
    CHECK_OK(obs_transpose_encode(&all, SIZE_MAX, &whole));
    for (uint32_t first = 0; first <= SERIES; first += 7) {
        obs_transpose_init(&stripe, 0);
        obs_transposed_init(&part);
        CHECK_OK(add_all(&stripe, first, first + 6));
        CHECK_OK(obs_transpose_encode(&stripe, 1000, &part));
        for (size_t index = 0; index < part.frame_count; index++)
            CHECK_OK(obs_transpose_add_sections(&again, 0, UINT32_MAX, part.bytes.bytes + part.frames[index].offset,
                                                part.frames[index].size));
        obs_transposed_free(&part);
        obs_transpose_free(&stripe);
    }
    CHECK_OK(obs_transpose_encode(&again, SIZE_MAX, &out));
    CHECK(same_bytes(&whole.bytes, &out.bytes));
    obs_transposed_free(&whole);
    obs_transposed_free(&out);
    obs_transpose_free(&all);
    obs_transpose_free(&again);
}

#define WIDTH_MS (6 * STEP_MS)

/* Samples of each series in the windows that start in [first_ms, to_ms). */
static void count_samples(const obs_transposed_t *out, int64_t first_ms, int64_t to_ms, uint64_t counts[SERIES + 1])
{
    obs_groups_t found;
    CHECK_OK(obs_groups_init(&found, SERIES + 1, 0, 0, 1));
    for (uint32_t series = 1; series <= SERIES; series++)
        CHECK_OK(obs_groups_select(&found, series, series));
    size_t used;
    for (size_t index = 0; index < out->frame_count; index++)
        CHECK_OK(obs_groups_merge_sections(&found, first_ms, to_ms, out->bytes.bytes + out->frames[index].offset,
                                           out->frames[index].size, &used));
    for (uint32_t series = 0; series <= SERIES; series++)
        counts[series] = obs_accumulator_samples(obs_groups_at(&found, series, 0));
    obs_groups_free(&found);
}

/* Each wide window has what its narrow ones have; in one step from rows, or in two from sections. */
static void rolls_up_into_wider_windows(void)
{
    obs_transpose_t narrow, wide, again;
    obs_transposed_t fine, direct, later;
    obs_transpose_init(&narrow, 0);
    obs_transpose_init(&wide, WIDTH_MS);
    obs_transpose_init(&again, WIDTH_MS);
    obs_transposed_init(&fine);
    obs_transposed_init(&direct);
    obs_transposed_init(&later);
    CHECK_OK(add_all(&narrow, 0, UINT32_MAX));
    CHECK_OK(add_all(&wide, 0, UINT32_MAX));
    CHECK_OK(obs_transpose_encode(&narrow, SIZE_MAX, &fine));
    CHECK_OK(obs_transpose_encode(&wide, SIZE_MAX, &direct));
    CHECK_OK(obs_transpose_add_sections(&again, 0, UINT32_MAX, fine.bytes.bytes, fine.bytes.size));
    CHECK_OK(obs_transpose_encode(&again, SIZE_MAX, &later));
    CHECK(same_bytes(&direct.bytes, &later.bytes));
    CHECK_EQ(direct.frames[0].first_window_ms, -WIDTH_MS); /* the first narrow window is before the epoch */
    CHECK_EQ(direct.frames[0].last_window_ms % WIDTH_MS, 0);
    for (int64_t start_ms = -WIDTH_MS; start_ms <= window_ms(WINDOWS); start_ms += WIDTH_MS) {
        uint64_t expected[SERIES + 1], found[SERIES + 1];
        count_samples(&fine, start_ms, start_ms + WIDTH_MS, expected);
        count_samples(&direct, start_ms, start_ms + 1, found);
        for (uint32_t series = 0; series <= SERIES; series++)
            CHECK_EQ(found[series], expected[series]);
    }
    obs_transposed_free(&fine);
    obs_transposed_free(&direct);
    obs_transposed_free(&later);
    obs_transpose_free(&narrow);
    obs_transpose_free(&wide);
    obs_transpose_free(&again);
}

static void two_kinds_of_one_series_are_refused(void)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    for (uint8_t kind = OBS_KIND_HISTOGRAM; kind <= OBS_KIND_COUNTER; kind++) {
        obs_bytes_t rows;
        obs_rows_writer_t writer;
        obs_bytes_init(&rows);
        obs_rows_writer_init(&writer, &rows);
        obs_accumulator_t accumulator;
        CHECK_OK(obs_accumulator_init(&accumulator, 6));
        CHECK_OK(obs_accumulator_put(&accumulator, kind, 7, &writer));
        CHECK_OK(obs_transpose_add_rows(&transpose, 0, UINT32_MAX, 0, rows.bytes, rows.size));
        obs_accumulator_free(&accumulator);
        obs_bytes_free(&rows);
    }
    CHECK_STATUS(obs_transpose_encode(&transpose, 100, &out), OBS_ERR_STATE);
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
}

static int merge_hostile_sections(const uint8_t *bytes, size_t size)
{
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, 1, INT64_MIN / 2, INT64_MAX / 2, 3));
    for (uint32_t series = 1; series <= SERIES; series += 2)
        CHECK_OK(obs_groups_select(&groups, series, 0));
    size_t rows_used = 99;
    int status = obs_groups_merge_sections(&groups, INT64_MIN, INT64_MAX, bytes, size, &rows_used);
    if (status != OBS_OK) {
        CHECK_EQ(rows_used, 99);
        for (size_t step = 0; step < 3; step++)
            CHECK_EQ(obs_accumulator_samples(obs_groups_at(&groups, 0, step)), 0);
    }
    obs_groups_free(&groups);
    return status;
}

static int add_hostile_sections(const uint8_t *bytes, size_t size)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    int status = obs_transpose_add_sections(&transpose, 3, 30, bytes, size);
    if (status != OBS_OK)
        CHECK(transpose.row_count == 0 && transpose.tails.size == 0);
    int encoded = obs_transpose_encode(&transpose, 500, &out);
    CHECK(encoded == OBS_OK || encoded == OBS_ERR_STATE);
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
    return status;
}

/* An index has 32 bits for a frame's span: what a jump of the clock leaves further apart goes into frames of its own.
 */
static void windows_that_lie_far_apart_share_no_frame(void)
{
    const int64_t windows[] = {INT64_MIN, 0, UINT32_MAX, (int64_t)UINT32_MAX + 1, INT64_MAX};
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 5, 2));
    obs_bytes_t rows = rows_of(&window);
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    for (size_t index = 0; index < sizeof windows / sizeof windows[0]; index++)
        CHECK_OK(obs_transpose_add_rows(&transpose, 0, UINT32_MAX, windows[index], rows.bytes, rows.size));
    CHECK_OK(obs_transpose_encode(&transpose, SIZE_MAX, &out));
    CHECK_EQ(out.frame_count, 5 * 4); /* of each series: one window, two, and one twice more */
    for (size_t index = 0; index < out.frame_count; index++)
        CHECK_EQ(out.frames[index].last_window_ms - out.frames[index].first_window_ms,
                 index % 4 == 1 ? (int64_t)UINT32_MAX : 0);
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static void bad_sections_change_nothing(void)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    CHECK_OK(add_all(&transpose, 0, 12));
    CHECK_OK(obs_transpose_encode(&transpose, SIZE_MAX, &out));
    const uint8_t *bytes = out.bytes.bytes;
    size_t size = out.bytes.size;
    CHECK_EQ(hostile_truncations(merge_hostile_sections, bytes, size), WINDOWS);
    CHECK_EQ(hostile_truncations(add_hostile_sections, bytes, size), WINDOWS);
    CHECK(hostile_flips(merge_hostile_sections, bytes, size, 10000, 6) < 10000);
    CHECK(hostile_flips(add_hostile_sections, bytes, size, 10000, 7) < 10000);
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
}

static void steps_and_sizes_are_checked(void)
{
    static const uint8_t first_step[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    static const uint8_t no_step[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t beyond[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 1, 0};
    static const uint8_t long_rows[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2};
    CHECK_STATUS(merge_hostile_sections(first_step, sizeof first_step), OBS_ERR_CORRUPT);
    CHECK_STATUS(merge_hostile_sections(no_step, sizeof no_step), OBS_ERR_CORRUPT);
    CHECK_STATUS(merge_hostile_sections(beyond, sizeof beyond), OBS_ERR_CORRUPT);
    CHECK_STATUS(merge_hostile_sections(long_rows, sizeof long_rows), OBS_ERR_CORRUPT);
    CHECK_STATUS(merge_hostile_sections(long_rows, 7), OBS_ERR_CORRUPT);
    CHECK_OK(merge_hostile_sections(long_rows, 8));
}

static void survives_each_failed_allocation(void)
{
    for (size_t n = 1;; n++) {
        obs_transpose_t transpose;
        obs_transposed_t out;
        obs_transpose_init(&transpose, 0);
        obs_transposed_init(&out);
        obs_alloc_fail_at(n);
        int status = add_all(&transpose, 0, 9);
        if (status == OBS_OK)
            status = obs_transpose_encode(&transpose, 300, &out);
        obs_alloc_fail_at(0);
        obs_transposed_free(&out);
        obs_transpose_free(&transpose);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(cuts_by_series_and_keeps_every_sample);
    RUN(nothing_becomes_no_frame);
    RUN(stripes_add_up_and_sections_can_be_transposed_again);
    RUN(rolls_up_into_wider_windows);
    RUN(two_kinds_of_one_series_are_refused);
    RUN(windows_that_lie_far_apart_share_no_frame);
    RUN(bad_sections_change_nothing);
    RUN(steps_and_sizes_are_checked);
    RUN(survives_each_failed_allocation);
    return 0;
}

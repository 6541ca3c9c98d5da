// kernels: frames window accumulator series_map series_index body rows loghist tdigest column edges hll moments topk obs
#include "frames.h"

#include "alloc_seam.h"
#include "windows.h"

/* Checks that frames are within the limit, ascending, and together exactly the window. */
static size_t check_frames(const obs_window_t *window, size_t max_bytes)
{
    obs_frames_t frames;
    obs_frames_init(&frames);
    CHECK_OK(obs_frames_encode(&frames, window, max_bytes));
    obs_window_t copy;
    obs_window_init(&copy);
    size_t offset = 0;
    for (size_t index = 0; index < frames.frame_count; index++) {
        const obs_frame_t *frame = &frames.frames[index];
        CHECK_EQ(frame->offset, offset);
        CHECK(index == 0 || frame->first_series > frames.frames[index - 1].last_series);
        obs_rows_reader_t reader;
        obs_rows_reader_init(&reader, frames.rows.bytes + frame->offset, frame->size);
        obs_row_t row = {0};
        size_t row_count = 0;
        while (obs_rows_next(&reader, &row) == 1)
            CHECK(row_count++ > 0 || row.series == frame->first_series);
        CHECK_EQ(row.series, frame->last_series);
        CHECK(frame->size <= max_bytes || row_count == 1);
        CHECK_OK(obs_window_merge_rows(&copy, frames.rows.bytes + frame->offset, frame->size));
        offset += frame->size;
    }
    CHECK_EQ(offset, frames.rows.size);
    CHECK(same_windows(window, &copy));
    CHECK_EQ(copy.slot_count, window->slot_count);
    size_t frame_count = frames.frame_count;
    obs_window_free(&copy);
    obs_frames_free(&frames);
    return frame_count;
}

static void cuts_a_window_into_frames(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 700, 15));
    CHECK_EQ(check_frames(&window, SIZE_MAX), 1);
    CHECK(check_frames(&window, 4096) > 3);
    CHECK_EQ(check_frames(&window, 1), 700);
    CHECK_EQ(check_frames(&window, 0), 700);
    obs_window_free(&window);
}

static void an_empty_window_has_no_frames(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_EQ(check_frames(&window, 65536), 0);
    obs_window_free(&window);
}

static void series_come_in_ascending_order(void)
{
    obs_window_t window;
    obs_window_init(&window);
    for (uint32_t index = 0; index < 1000; index++) {
        uint32_t series = index * 387u % 1000u + 1; /* every one of 1..1000, in disorder */
        CHECK_OK(add_sample(&window, series, 0));
    }
    CHECK_OK(obs_window_add_counter(&window, UINT32_MAX, 1, 1));
    CHECK_OK(obs_window_add_counter(&window, 0, 1, 1));
    CHECK_EQ(window.slot_count, 1002);
    CHECK(check_frames(&window, 2000) > 10);
    obs_window_free(&window);
}

static void survives_each_failed_allocation(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 60, 9));
    for (size_t n = 1;; n++) {
        obs_frames_t frames;
        obs_frames_init(&frames);
        obs_alloc_fail_at(n);
        int status = obs_frames_encode(&frames, &window, 200);
        int is_last = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        obs_frames_free(&frames);
        CHECK(status == OBS_OK || (status == OBS_ERR_NOMEM && !is_last));
        if (is_last)
            break;
    }
    obs_window_free(&window);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(cuts_a_window_into_frames);
    RUN(an_empty_window_has_no_frames);
    RUN(series_come_in_ascending_order);
    RUN(survives_each_failed_allocation);
    return 0;
}

// kernels: rows transpose sections window accumulator frames groups body loghist tdigest series_map series_index column edges hll moments topk obs
/* Any bytes as the rows of a window: the check, a window, a query's groups and a compaction accept the same rows and
 * count the same samples; what a window writes of them is read again as the same. */
#include "fuzz.h"
#include "groups.h"
#include "sections.h"
#include "transpose.h"
#include "windows.h"

enum { WINDOW_MS = 10000 };

/* Groups that select every series that the rows name, each by itself. */
static obs_groups_t groups_of_all(const uint8_t *data, size_t size, size_t row_count)
{
    obs_groups_t groups;
    obs_rows_reader_t reader;
    obs_row_t row;
    CHECK_OK(obs_groups_init(&groups, row_count, 0, 0, 1));
    obs_groups_keep_digests(&groups);
    obs_rows_reader_init(&reader, data, size);
    for (size_t group = 0; group < row_count && obs_rows_next(&reader, &row) > 0; group++)
        CHECK_OK(obs_groups_select(&groups, row.series, group));
    return groups;
}

/* Rows before the first that is none; ascending, and inside of the bytes. */
static size_t count_rows(const uint8_t *data, size_t size)
{
    obs_rows_reader_t reader;
    obs_row_t row;
    size_t count = 0;
    uint64_t next = 0;
    obs_rows_reader_init(&reader, data, size);
    for (; obs_rows_next(&reader, &row) > 0; count++) {
        CHECK(row.series >= next);
        CHECK(row.payload >= data && row.payload_size <= (size_t)(data + size - row.payload));
        CHECK(row.digest == NULL || row.digest_size <= (size_t)(data + size - row.digest));
        next = (uint64_t)row.series + 1;
    }
    return count;
}

static void check_groups(const uint8_t *data, size_t size, int expected, const obs_window_t *window)
{
    size_t row_count = count_rows(data, size), used = 77;
    obs_groups_t groups = groups_of_all(data, size, row_count);
    CHECK_STATUS(obs_groups_merge_rows(&groups, WINDOW_MS, data, size, &used), expected);
    CHECK_EQ(used, expected == OBS_OK ? row_count : 77);
    uint64_t samples = 0;
    for (size_t group = 0; group < row_count; group++)
        samples += obs_accumulator_samples(obs_groups_at(&groups, group, 0));
    CHECK(samples == window->sample_count);
    obs_groups_free(&groups);
}

/* Compaction of one window takes the rows apart and puts the same ones together. */
static void check_transpose(const uint8_t *data, size_t size, int expected)
{
    obs_transpose_t transpose;
    obs_transposed_t out;
    obs_transpose_init(&transpose, 0);
    obs_transposed_init(&out);
    CHECK_STATUS(obs_transpose_add_rows(&transpose, 0, UINT32_MAX, WINDOW_MS, data, size), expected);
    CHECK(expected == OBS_OK || transpose.row_count == 0);
    CHECK_OK(obs_transpose_encode(&transpose, SIZE_MAX, &out));
    CHECK_EQ(out.frame_count, transpose.row_count > 0);
    if (out.frame_count == 1) {
        obs_sections_reader_t reader;
        obs_section_t section;
        CHECK_OK(obs_sections_reader_init(&reader, out.bytes.bytes, out.frames[0].size));
        CHECK_EQ(obs_sections_next(&reader, &section), 1);
        CHECK(section.window_ms == WINDOW_MS && section.size == size && memcmp(section.rows, data, size) == 0);
        CHECK_EQ(obs_sections_next(&reader, &section), 0);
    }
    obs_transposed_free(&out);
    obs_transpose_free(&transpose);
}

/* What a window writes is the same when it has been read and written again; digests may be joined further once. */
static void check_written_again(const obs_window_t *window)
{
    obs_bytes_t rows = rows_of(window);
    obs_window_t again;
    obs_window_init(&again);
    CHECK_OK(obs_window_merge_rows(&again, rows.bytes, rows.size));
    CHECK_EQ(again.slot_count, window->slot_count);
    CHECK(again.sample_count == window->sample_count);
    again.drops_digests = true;
    obs_window_t plain;
    obs_window_init(&plain);
    plain.drops_digests = true;
    CHECK_OK(obs_window_merge_rows(&plain, rows.bytes, rows.size));
    obs_bytes_t once = rows_of(&plain);
    obs_window_t twice;
    obs_window_init(&twice);
    CHECK_OK(obs_window_merge_rows(&twice, once.bytes, once.size));
    CHECK(same_windows(&plain, &twice));
    obs_window_free(&again);
    obs_window_free(&plain);
    obs_window_free(&twice);
    obs_bytes_free(&once);
    obs_bytes_free(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    obs_window_t window;
    obs_window_init(&window);
    int status = obs_rows_check(data, size);
    CHECK_STATUS(obs_window_merge_rows(&window, data, size), status);
    if (status == OBS_OK) {
        CHECK_EQ(window.slot_count, count_rows(data, size));
        check_written_again(&window);
    } else {
        fuzz_check_status(status);
        CHECK(window.slot_count == 0 && window.sample_count == 0);
    }
    check_window_totals(&window);
    check_groups(data, size, status, &window);
    check_transpose(data, size, status);
    obs_window_free(&window);
    return 0;
}

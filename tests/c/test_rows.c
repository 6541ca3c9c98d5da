// kernels: rows loghist tdigest column edges hll moments topk obs
#include "rows.h"

#include <math.h>

#include "alloc_seam.h"
#include "check.h"
#include "columns.h"
#include "hostile.h"

static void make_hist(obs_loghist_t *hist)
{
    CHECK_OK(obs_loghist_init(hist, 5));
    for (int i = -30; i <= 60; i++)
        CHECK_OK(obs_loghist_add(hist, i * 1.7, 2));
    CHECK_OK(obs_loghist_add(hist, (double)NAN, 4));
}

static obs_tdigest_t make_digest(void)
{
    obs_tdigest_t digest;
    CHECK_OK(obs_tdigest_init(&digest, 100));
    for (int i = -30; i <= 60; i++)
        CHECK_OK(obs_tdigest_add(&digest, i * 1.7, 2));
    CHECK_OK(obs_tdigest_add(&digest, (double)NAN, 4));
    CHECK_OK(obs_tdigest_flush(&digest));
    return digest;
}

static int put_column(obs_rows_writer_t *writer, uint32_t series)
{
    sided_t sided;
    sided_init(&sided);
    obs_cuts_t cuts = ten_bins();
    fill_numbers(&sided, &cuts, 9, 80);
    int status = obs_rows_put_column(writer, series, &sided.hist, &sided.column);
    sided_free(&sided);
    obs_cuts_free(&cuts);
    return status;
}

static int put_rows(obs_bytes_t *rows, const obs_loghist_t *hist, obs_tdigest_t *digest)
{
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, rows);
    int status = obs_rows_put_histogram(&writer, 0, hist);
    if (status == OBS_OK)
        status = obs_rows_put_counter(&writer, 1, 17, 123.5);
    if (status == OBS_OK)
        status = obs_rows_put_gauge(&writer, 400, -5, 2.25, hist);
    if (status == OBS_OK)
        status = obs_rows_put_digested_histogram(&writer, 401, hist, digest);
    if (status == OBS_OK)
        status = obs_rows_put_histogram(&writer, 402, hist);
    return status;
}

static void fill(obs_bytes_t *rows)
{
    obs_loghist_t hist;
    make_hist(&hist);
    obs_tdigest_t digest = make_digest();
    obs_bytes_init(rows);
    CHECK_OK(put_rows(rows, &hist, &digest));
    obs_rows_writer_t writer = {rows, 403};
    CHECK_OK(put_column(&writer, UINT32_MAX));
    obs_loghist_free(&hist);
    obs_tdigest_free(&digest);
}

static int read_all(const uint8_t *bytes, size_t size)
{
    int checked = obs_rows_check(bytes, size);
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, bytes, size);
    obs_row_t row;
    int status;
    double sum = 0;
    while ((status = obs_rows_next(&reader, &row)) > 0) {
        obs_row_content_t content;
        int opened = obs_row_open(&row, &content);
        CHECK(checked != OBS_OK || opened == OBS_OK);
        for (size_t index = 0; index < row.payload_size; index++)
            sum += row.payload[index];
        for (size_t index = 0; index < row.digest_size; index++)
            sum += row.digest[index];
    }
    CHECK(sum >= 0);
    CHECK(checked != OBS_OK || status == OBS_OK);
    return checked;
}

static void expect_hist(const obs_row_content_t *content)
{
    uint64_t samples;
    CHECK_OK(obs_loghist_check(content->hist, content->hist_size, &samples));
    CHECK_EQ(samples, 91 * 2 + 4);
}

static void reads_what_was_written(void)
{
    obs_bytes_t rows;
    fill(&rows);
    CHECK_OK(obs_rows_check(rows.bytes, rows.size));
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows.bytes, rows.size);
    obs_row_t row;
    obs_row_content_t content;

    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == 0 && row.kind == OBS_KIND_HISTOGRAM);
    CHECK_OK(obs_row_open(&row, &content));
    expect_hist(&content);

    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == 1 && row.kind == OBS_KIND_COUNTER);
    CHECK_OK(obs_row_open(&row, &content));
    CHECK(content.increments == 17 && content.sum == 123.5 && content.hist == NULL);

    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == 400 && row.kind == OBS_KIND_GAUGE);
    CHECK_OK(obs_row_open(&row, &content));
    CHECK(content.last_ms == -5 && content.last == 2.25 && content.increments == 0);
    expect_hist(&content);
    CHECK(row.digest == NULL);

    uint64_t digested;
    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == 401 && row.kind == OBS_KIND_HISTOGRAM);
    CHECK_OK(obs_row_open(&row, &content));
    expect_hist(&content);
    CHECK_OK(obs_tdigest_check(row.digest, row.digest_size, &digested));
    CHECK_EQ(digested, 91 * 2 + 4);

    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == 402 && row.digest == NULL);
    CHECK_EQ(obs_rows_next(&reader, &row), 1);
    CHECK(row.series == UINT32_MAX && row.kind == OBS_KIND_COLUMN && row.digest == NULL);
    CHECK_OK(obs_row_open(&row, &content));
    CHECK(content.hist == NULL);
    CHECK_OK(obs_column_check(row.payload, row.payload_size, NULL));
    CHECK_EQ(obs_rows_next(&reader, &row), 0);
    obs_bytes_free(&rows);
}

static void an_empty_frame_has_no_rows(void)
{
    CHECK_OK(hostile_read_copy(read_all, NULL, 0));
}

static void series_must_ascend(void)
{
    obs_bytes_t rows;
    obs_bytes_init(&rows);
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, &rows);
    CHECK_OK(obs_rows_put_counter(&writer, 5, 1, 1));
    size_t size = rows.size;
    CHECK_STATUS(obs_rows_put_counter(&writer, 5, 1, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_rows_put_counter(&writer, 4, 1, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_rows_put_counter(&writer, 6, 1, -1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_rows_put_counter(&writer, 6, 1, (double)NAN), OBS_ERR_RANGE);
    CHECK_EQ(rows.size, size);
    CHECK_OK(obs_rows_put_counter(&writer, UINT32_MAX, 1, 1));
    CHECK_STATUS(obs_rows_put_counter(&writer, UINT32_MAX, 1, 1), OBS_ERR_RANGE);
    CHECK_OK(obs_rows_check(rows.bytes, rows.size));
    obs_bytes_free(&rows);
}

static void a_digest_has_the_samples_of_its_row(void)
{
    obs_loghist_t hist;
    make_hist(&hist);
    obs_tdigest_t digest = make_digest();
    for (int added = 0; added < 2; added++) {
        obs_bytes_t rows;
        obs_bytes_init(&rows);
        obs_rows_writer_t writer;
        obs_rows_writer_init(&writer, &rows);
        CHECK_OK(obs_rows_put_digested_histogram(&writer, 3, &hist, &digest));
        CHECK_STATUS(obs_rows_check(rows.bytes, rows.size), added ? OBS_ERR_CORRUPT : OBS_OK);
        obs_bytes_free(&rows);
        CHECK_OK(obs_tdigest_add(&digest, 1, 1));
        CHECK_OK(obs_tdigest_flush(&digest));
    }
    obs_loghist_free(&hist);
    obs_tdigest_free(&digest);
}

/* What a window can come to must be readable again, sums beyond the doubles included. */
static void extreme_totals_are_readable(void)
{
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, 6));
    CHECK_OK(obs_loghist_add(&hist, 1.7e308, UINT64_C(1) << 60));
    CHECK_OK(obs_loghist_add(&hist, -1.7e308, UINT64_C(1) << 60));
    CHECK_OK(obs_loghist_add(&hist, 4.9e-324, 1));
    obs_bytes_t rows;
    obs_bytes_init(&rows);
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, &rows);
    CHECK_OK(obs_rows_put_histogram(&writer, 1, &hist));
    CHECK_OK(obs_rows_put_counter(&writer, 2, UINT64_MAX, (double)INFINITY));
    CHECK_OK(obs_rows_put_gauge(&writer, 3, INT64_MIN, (double)NAN, &hist));
    CHECK_OK(hostile_read_copy(read_all, rows.bytes, rows.size));
    obs_bytes_free(&rows);
    obs_loghist_free(&hist);
}

#define F64_ONE 0, 0, 0, 0, 0, 0, 0xf0, 0x3f
#define F64_MINUS_ONE 0, 0, 0, 0, 0, 0, 0xf0, 0xbf
#define F64_NAN 0, 0, 0, 0, 0, 0, 0xf8, 0x7f

typedef struct {
    const char *name;
    int expected;
    size_t size;
    uint8_t bytes[32];
} malformation_t;

static const malformation_t MALFORMATIONS[] = {
    {"sound", OBS_OK, 12, {9, 2, 9, 1, F64_ONE}},
    {"two sound rows", OBS_OK, 24, {9, 2, 9, 1, F64_ONE, 1, 2, 9, 1, F64_ONE}},
    {"the same series twice", OBS_ERR_CORRUPT, 24, {9, 2, 9, 1, F64_ONE, 0, 2, 9, 1, F64_ONE}},
    {"series 0 twice", OBS_ERR_CORRUPT, 24, {0, 2, 9, 1, F64_ONE, 0, 2, 9, 1, F64_ONE}},
    {"series 2^32", OBS_ERR_CORRUPT, 16, {0x80, 0x80, 0x80, 0x80, 0x10, 2, 9, 1, F64_ONE}},
    {"series that wraps 64 bits", OBS_ERR_CORRUPT, 29, {9,    2,    9,    1,    F64_ONE, 0xff, 0xff, 0xff,
                                                        0xff, 0xff, 0xff, 0xff, 0xff,    0xff, 1,    2,
                                                        9,    1,    0,    0,    0,       0}},
    {"no flags", OBS_ERR_CORRUPT, 1, {9}},
    {"no size", OBS_ERR_CORRUPT, 2, {9, 2}},
    {"kind 0", OBS_ERR_CORRUPT, 12, {9, 0, 9, 1, F64_ONE}},
    {"kind 5", OBS_ERR_CORRUPT, 12, {9, 5, 9, 1, F64_ONE}},
    {"column of 0 bytes", OBS_ERR_CORRUPT, 3, {9, 4, 0}},
    {"column without extras", OBS_ERR_CORRUPT, 7, {9, 4, 4, 3, 1, 6, 0}},
    {"column with unknown parts", OBS_ERR_VERSION, 10, {9, 4, 7, 3, 1, 6, 0, 8, 0, 0}},
    {"column with a t-digest", OBS_ERR_CORRUPT, 16, {9, 0x14, 7, 3, 1, 6, 0, 0, 0, 0, 5, 100, 0, 0, 0, 0}},
    {"a t-digest of a counter", OBS_ERR_CORRUPT, 18, {9, 0x12, 9, 1, F64_ONE, 5, 100, 0, 0, 0, 0}},
    {"empty histogram and t-digest", OBS_OK, 12, {9, 0x11, 3, 1, 6, 0, 5, 100, 0, 0, 0, 0}},
    {"no t-digest where one follows", OBS_ERR_CORRUPT, 6, {9, 0x11, 3, 1, 6, 0}},
    {"a t-digest longer than the bytes", OBS_ERR_CORRUPT, 12, {9, 0x11, 3, 1, 6, 0, 6, 100, 0, 0, 0, 0}},
    {"a t-digest with a byte too many", OBS_ERR_CORRUPT, 13, {9, 0x11, 3, 1, 6, 0, 6, 100, 0, 0, 0, 0, 0}},
    {"a t-digest and an exemplar", OBS_ERR_VERSION, 12, {9, 0x31, 3, 1, 6, 0, 5, 100, 0, 0, 0, 0}},
    {"an exemplar follows", OBS_ERR_VERSION, 12, {9, 0x22, 9, 1, F64_ONE}},
    {"payload longer than the bytes", OBS_ERR_CORRUPT, 12, {9, 2, 10, 1, F64_ONE}},
    {"payload of 2^64 - 1 bytes",
     OBS_ERR_CORRUPT,
     13,
     {9, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}},
    {"counter cut", OBS_ERR_CORRUPT, 11, {9, 2, 8, 1, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
    {"counter with a byte too many", OBS_ERR_CORRUPT, 13, {9, 2, 10, 1, F64_ONE, 0}},
    {"counter with negative sum", OBS_ERR_CORRUPT, 12, {9, 2, 9, 1, F64_MINUS_ONE}},
    {"counter with NaN", OBS_ERR_CORRUPT, 12, {9, 2, 9, 1, F64_NAN}},
    {"gauge shorter than its head", OBS_ERR_CORRUPT, 18, {9, 3, 15, F64_ONE, 0, 0, 0, 0, 0, 0, 0}},
    {"gauge without histogram", OBS_ERR_CORRUPT, 19, {9, 3, 16, F64_ONE, F64_ONE}},
    {"histogram of 0 bytes", OBS_ERR_CORRUPT, 3, {9, 1, 0}},
    {"histogram of another format", OBS_ERR_VERSION, 6, {9, 1, 3, 99, 6, 0}},
    {"empty histogram", OBS_OK, 6, {9, 1, 3, 1, 6, 0}},
};

static void refuses_named_malformations(void)
{
    for (size_t index = 0; index < sizeof MALFORMATIONS / sizeof *MALFORMATIONS; index++) {
        const malformation_t *bad = &MALFORMATIONS[index];
        printf("  %s\n", bad->name);
        CHECK_STATUS(hostile_read_copy(read_all, bad->bytes, bad->size), bad->expected);
    }
}

static void reads_nothing_outside_of_mutilated_bytes(void)
{
    obs_bytes_t rows;
    fill(&rows);
    /* Nothing at all, and the ends of the first five rows. */
    CHECK_EQ(hostile_truncations(read_all, rows.bytes, rows.size), 6);
    CHECK(hostile_flips(read_all, rows.bytes, rows.size, 20000, 2) < 20000);
    obs_bytes_free(&rows);
}

static void survives_each_failed_allocation(void)
{
    obs_loghist_t hist;
    make_hist(&hist);
    obs_tdigest_t digest = make_digest();
    for (size_t n = 1;; n++) {
        obs_bytes_t rows;
        obs_bytes_init(&rows);
        obs_alloc_fail_at(n);
        int status = put_rows(&rows, &hist, &digest);
        obs_alloc_fail_at(0);
        CHECK(rows.size == 0 || obs_rows_check(rows.bytes, rows.size) == OBS_OK);
        obs_bytes_free(&rows);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    obs_loghist_free(&hist);
    obs_tdigest_free(&digest);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(reads_what_was_written);
    RUN(an_empty_frame_has_no_rows);
    RUN(series_must_ascend);
    RUN(a_digest_has_the_samples_of_its_row);
    RUN(extreme_totals_are_readable);
    RUN(refuses_named_malformations);
    RUN(reads_nothing_outside_of_mutilated_bytes);
    RUN(survives_each_failed_allocation);
    return 0;
}

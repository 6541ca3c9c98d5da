// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* Rows of numbers on their way through the drain: what comes out is what the columns would have come to one by one. */
#include <math.h>
#include <string.h>

#include "columns.h"
#include "drain_lab.h"

enum { COLUMNS = 7, ROWS = 3000, FIRST_SERIES = 4 };

static double doubles[ROWS][COLUMNS];
static float singles[ROWS][COLUMNS];

/* Values that singles hold as well, some of them not finite. */
static void fill(void)
{
    uint64_t state = 5;
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++) {
            uint64_t random = check_random(&state);
            double value = (double)(int64_t)(random % 1000) / 8 - (double)(10 * column);
            doubles[row][column] = random >> 40 & 127 ? value : (double)NAN;
            singles[row][column] = (float)doubles[row][column];
        }
}

static void define_columns(fixture_t *fixture, uint32_t *series, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_COLUMN, 6, false, &series[i]));
        CHECK_EQ(series[i], FIRST_SERIES + i);
    }
}

/* Merges what the batches that wait hold of each column into found. */
static void take_columns(fixture_t *fixture, sided_t *found, uint32_t column_count)
{
    step_after(fixture, 1000 * MS);
    for (uint32_t i = 0; i < column_count; i++)
        sided_init(&found[i]);
    for (obs_batch_t *batch; (batch = take(fixture)) != NULL; obs_batch_free(batch)) {
        obs_body_reader_t reader;
        obs_body_entry_t entry;
        CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
        while (obs_body_next(&reader, &entry) > 0) {
            sided_t *sided = &found[entry.series - FIRST_SERIES];
            CHECK_OK(obs_column_merge_encoded(&sided->hist, &sided->column, entry.bytes, entry.size));
        }
    }
}

/* The column of the rows, sketched one value at a time. */
static sided_t expected_column(int column, int first_row, int row_count)
{
    sided_t expected;
    sided_init(&expected);
    for (int row = first_row; row < first_row + row_count; row++)
        sided_add(&expected, NULL, &doubles[row][column], 1);
    return expected;
}

static void expect_rows(fixture_t *fixture, int first_row, int row_count)
{
    sided_t found[COLUMNS];
    take_columns(fixture, found, COLUMNS);
    for (int column = 0; column < COLUMNS; column++) {
        sided_t expected = expected_column(column, first_row, row_count);
        CHECK_EQ(sided_samples(&found[column]), row_count);
        CHECK(found[column].hist.sum == expected.hist.sum && found[column].hist.min == expected.hist.min);
        CHECK_EQ(found[column].column.moments.nan_count, expected.column.moments.nan_count);
        CHECK(fabs(found[column].column.moments.mean - expected.column.moments.mean) < 1e-9);
        CHECK(obs_hll_count(found[column].column.hll) == obs_hll_count(expected.column.hll));
        sided_free(&expected);
        sided_free(&found[column]);
    }
}

static void rows_come_out_as_columns(void)
{
    fixture_t fixture;
    uint32_t series[COLUMNS];
    set_up(&fixture);
    define_columns(&fixture, series, COLUMNS);
    obs_producer_t *producer = attach(&fixture);
    const int row_counts[] = {1, 2, 31, 600, ROWS};
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) {
        int row_count = row_counts[i];
        const obs_table_t of_doubles = {series, COLUMNS, false, doubles, sizeof doubles[0], (size_t)row_count};
        CHECK_EQ(obs_producer_push_table(producer, &of_doubles), row_count);
        expect_rows(&fixture, 0, row_count);
        const obs_table_t of_singles = {series, COLUMNS, true, singles, sizeof singles[0], (size_t)row_count};
        CHECK_EQ(obs_producer_push_table(producer, &of_singles), row_count);
        expect_rows(&fixture, 0, row_count);
        const obs_table_t backwards = {
            series, COLUMNS, false, doubles[ROWS - 1], -(ptrdiff_t)sizeof doubles[0], (size_t)row_count};
        CHECK_EQ(obs_producer_push_table(producer, &backwards), row_count);
        expect_rows(&fixture, ROWS - row_count, row_count);
    }
    CHECK_EQ(accounts(&fixture).observed, 3 * COLUMNS * (1 + 2 + 31 + 600 + ROWS));
    tear_down(&fixture);
}

static void no_rows_are_nothing(void)
{
    fixture_t fixture;
    uint32_t series[COLUMNS];
    set_up(&fixture);
    define_columns(&fixture, series, COLUMNS);
    obs_producer_t *producer = attach(&fixture);
    const obs_table_t table = {series, COLUMNS, false, doubles, sizeof doubles[0], 0};
    CHECK_EQ(obs_producer_push_table(producer, &table), 0);
    CHECK_EQ(accounts(&fixture).observed, 0);
    CHECK_EQ(obs_ring_head(&producer->ring), 0);
    tear_down(&fixture);
}

/* Between records of other sorts, wherever in a chunk they begin. */
static void tables_and_records_go_through_one_ring(void)
{
    fixture_t fixture;
    uint32_t series[COLUMNS];
    uint64_t state = 1, samples = 0;
    set_up(&fixture);
    define_columns(&fixture, series, COLUMNS);
    obs_producer_t *producer = attach(&fixture);
    for (int round = 0; round < 300; round++) {
        size_t row_count = check_random(&state) % 40;
        int single_count = (int)(check_random(&state) % 100);
        const obs_table_t table = {series,
                                   COLUMNS,
                                   round % 2,
                                   round % 2 ? (void *)singles : (void *)doubles,
                                   round % 2 ? sizeof singles[0] : sizeof doubles[0],
                                   row_count};
        CHECK_EQ(obs_producer_push_table(producer, &table), row_count);
        observe_of(producer, series[round % COLUMNS], single_count);
        samples += row_count * COLUMNS + (uint64_t)single_count;
        if (round % 16 == 0)
            step_after(&fixture, MS);
    }
    CHECK_EQ(accounts(&fixture).observed, samples);
    sided_t found[COLUMNS];
    take_columns(&fixture, found, COLUMNS);
    uint64_t delivered = 0;
    for (int column = 0; column < COLUMNS; column++) {
        delivered += sided_samples(&found[column]);
        sided_free(&found[column]);
    }
    CHECK_EQ(delivered, samples);
    CHECK_EQ(accounts(&fixture).dropped, 0);
    tear_down(&fixture);
}

static void the_widest_table_fits(void)
{
    fixture_t fixture;
    static double rows[500][OBS_TABLE_COLUMNS_MAX];
    static uint32_t series[OBS_TABLE_COLUMNS_MAX];
    static sided_t found[OBS_TABLE_COLUMNS_MAX];
    obs_drain_options_t chosen = options(4 << 20);
    set_up_with(&fixture, &chosen);
    define_columns(&fixture, series, OBS_TABLE_COLUMNS_MAX);
    obs_producer_t *producer = attach(&fixture);
    for (int row = 0; row < 500; row++)
        for (int column = 0; column < OBS_TABLE_COLUMNS_MAX; column++)
            rows[row][column] = column + 1;
    const obs_table_t table = {series, OBS_TABLE_COLUMNS_MAX, false, rows, sizeof rows[0], 500};
    CHECK_EQ(obs_producer_push_table(producer, &table), 500);
    take_columns(&fixture, found, OBS_TABLE_COLUMNS_MAX);
    for (int column = 0; column < OBS_TABLE_COLUMNS_MAX; column++) {
        CHECK_EQ(sided_samples(&found[column]), 500);
        CHECK(found[column].hist.min == column + 1 && found[column].hist.max == column + 1);
        sided_free(&found[column]);
    }
    tear_down(&fixture);
}

/* What finds no room is left to who called, and nothing is counted for it. */
static void a_full_ring_takes_the_first_rows(void)
{
    fixture_t fixture;
    uint32_t series[COLUMNS];
    obs_drain_options_t chosen = options(OBS_RING_CHUNK_BYTES);
    set_up_with(&fixture, &chosen);
    define_columns(&fixture, series, COLUMNS);
    obs_producer_t *producer = attach(&fixture);
    const obs_table_t table = {series, COLUMNS, false, doubles, sizeof doubles[0], ROWS};
    size_t pushed = obs_producer_push_table(producer, &table);
    size_t row_bytes = sizeof doubles[0], room = 2 * OBS_RING_CHUNK_BYTES;
    CHECK(pushed * row_bytes > room - 4 * row_bytes && pushed * row_bytes < room);
    CHECK_EQ(obs_producer_push_table(producer, &table), 0);
    CHECK_EQ(accounts(&fixture).observed, pushed * COLUMNS);
    CHECK_EQ(accounts(&fixture).dropped, 0);
    expect_rows(&fixture, 0, (int)pushed);
    obs_ring_close(&producer->ring);
    CHECK_EQ(obs_producer_push_table(producer, &table), 0);
    CHECK_EQ(accounts(&fixture).observed, pushed * COLUMNS);
    tear_down(&fixture);
}

int main(void)
{
    fill();
    RUN(rows_come_out_as_columns);
    RUN(no_rows_are_nothing);
    RUN(tables_and_records_go_through_one_ring);
    RUN(the_widest_table_fits);
    RUN(a_full_ring_takes_the_first_rows);
    return 0;
}

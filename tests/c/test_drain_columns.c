// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* Columns on their way through the drain: every sample comes out once, sketched, in the window in which it was seen. */
#include <math.h>
#include <string.h>

#include "columns.h"
#include "drain_lab.h"

static uint32_t define_column(fixture_t *fixture)
{
    uint32_t series;
    CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_COLUMN, 6, false, &series));
    return series;
}

static obs_series_t *series_of(fixture_t *fixture, uint32_t series)
{
    return obs_open_batch_series(&fixture->drain->open, series);
}

static obs_shape_t shape_of(fixture_t *fixture, uint32_t series)
{
    return obs_series_shape(series_of(fixture, series));
}

static void set_ten_bins(fixture_t *fixture, uint32_t series)
{
    double edges[11];
    for (int i = 0; i <= 10; i++)
        edges[i] = i;
    CHECK_OK(obs_series_set_cuts(series_of(fixture, series), edges, 11));
}

/* The columns of all batches that wait, merged; how many batches there were is told. */
static sided_t taken(fixture_t *fixture, int *batch_count)
{
    sided_t sided;
    sided_init(&sided);
    obs_batch_t *batch;
    for (*batch_count = 0; (batch = take(fixture)) != NULL; ++*batch_count) {
        obs_body_reader_t reader;
        obs_body_entry_t entry;
        CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
        while (obs_body_next(&reader, &entry) > 0) {
            CHECK_EQ(entry.type, OBS_BODY_COLUMN);
            CHECK_OK(obs_column_merge_encoded(&sided.hist, &sided.column, entry.bytes, entry.size));
        }
        obs_batch_free(batch);
    }
    return sided;
}

static void push_bits(obs_producer_t *producer, uint32_t series, int what, uint64_t bits)
{
    CHECK_OK(obs_producer_push_weighted(producer, OBS_RECORD_TAG(what, series), bits, 1));
}

static void every_sort_of_sample_is_counted(void)
{
    fixture_t fixture;
    set_up(&fixture);
    uint32_t numbers = define_column(&fixture), categories = define_column(&fixture), code;
    set_ten_bins(&fixture, numbers);
    CHECK_OK(obs_series_set_bins(series_of(&fixture, categories), 3));
    CHECK_OK(obs_series_add_category(series_of(&fixture, categories), "DE", 2, &code));
    CHECK_OK(obs_series_add_category(series_of(&fixture, categories), "FR", 2, &code));
    CHECK_OK(obs_series_add_category(series_of(&fixture, categories), "IT", 2, &code));
    CHECK_EQ(code, 2);
    obs_producer_t *producer = attach(&fixture);
    observe_of(producer, numbers, 12);
    CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, numbers), (double)NAN));
    CHECK_OK(obs_producer_push_weighted(producer, OBS_RECORD_TAG(OBS_RECORD_NULLS, numbers), 1000, 1000));
    push_bits(producer, numbers, OBS_RECORD_WRONG_TYPES, 1);
    CHECK_EQ(accounts(&fixture).observed, 12 + 1 + 1000 + 1);
    step_after(&fixture, 1000 * MS);
    int batch_count;
    sided_t found = taken(&fixture, &batch_count);
    CHECK_EQ(batch_count, 1);
    CHECK(found.column.moments.count == 12 && found.column.moments.nan_count == 1 &&
          found.column.moments.null_count == 1000 && found.column.moments.wrong_type_count == 1);
    CHECK(found.column.edges->counts[0] == 0 && found.column.edges->counts[2] == 1 &&
          found.column.edges->counts[10] == 2 && found.column.edges->counts[11] == 2);
    sided_free(&found);

    for (uint64_t i = 0; i < 3; i++)
        push_bits(producer, categories, OBS_RECORD_CATEGORY, i);
    push_bits(producer, categories, OBS_RECORD_HASH, 12345);
    step_after(&fixture, 1000 * MS);
    found = taken(&fixture, &batch_count);
    CHECK_EQ(found.column.category_count, 4);
    CHECK(found.column.edges->counts[0] == 1 && found.column.edges->counts[1] == 1 &&
          found.column.edges->counts[2] == 2);
    CHECK(found.column.topk->total == 4 && found.column.topk->other == 1);
    sided_free(&found);
    tear_down(&fixture);
}

/* Once a second, at an edge, and when somebody asks: not in every batch. */
static void columns_stay_open_over_batches(void)
{
    fixture_t fixture;
    set_up(&fixture);
    uint32_t column = define_column(&fixture);
    obs_producer_t *producer = attach(&fixture);
    int batch_count;
    sided_t found;
    step_after(&fixture, 1000 * MS); /* the gauges' second begins now */
    for (int i = 0; i < 9; i++) {
        observe_of(producer, column, 10);
        step_after(&fixture, 100 * MS);
        expect_none(&fixture);
    }
    CHECK_EQ(accounts(&fixture).observed, 90);
    step_after(&fixture, 100 * MS);
    found = taken(&fixture, &batch_count);
    CHECK(batch_count == 1 && sided_samples(&found) == 90);
    sided_free(&found);

    observe_of(producer, column, 5);
    step_after(&fixture, 10 * MS);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    found = taken(&fixture, &batch_count);
    CHECK(batch_count == 1 && sided_samples(&found) == 5);
    sided_free(&found);
    tear_down(&fixture);
}

static void no_column_crosses_an_edge(void)
{
    fixture_t fixture;
    set_up(&fixture);
    uint32_t column = define_column(&fixture);
    obs_producer_t *producer = attach(&fixture);
    step_after(&fixture, 9500 * MS);
    int batch_count;
    sided_t found = taken(&fixture, &batch_count);
    sided_free(&found);
    observe_of(producer, column, 7);
    step_after(&fixture, 100 * MS);
    expect_none(&fixture);
    step_after(&fixture, 450 * MS); /* over the edge */
    obs_batch_t *batch = take(&fixture);
    CHECK(batch != NULL && batch->samples == 7);
    CHECK_EQ((batch->end_ns + batch->clock_offset_ns) % WINDOW, 0);
    CHECK(batch->start_ns < batch->end_ns);
    obs_batch_free(batch);
    tear_down(&fixture);
}

/* Many columns fill more than one frame. */
static void batches_of_columns_have_the_size_of_frames(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(1 << 20);
    chosen.frame_bytes = 2000;
    set_up_with(&fixture, &chosen);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < 100; i++)
        observe_of(producer, define_column(&fixture), 20);
    step_after(&fixture, 1000 * MS);
    uint64_t samples = 0;
    int batch_count = 0;
    for (obs_batch_t *batch; (batch = take(&fixture)) != NULL; batch_count++) {
        CHECK(batch->size < 2000 + 1000);
        samples += batch->samples;
        obs_batch_free(batch);
    }
    CHECK_EQ(samples, 2000);
    CHECK(batch_count > 5);
    tear_down(&fixture);
}

/* Values stride bytes apart: as they are, in reverse, and every one the same. */
static void a_column_of_a_matrix_is_read_in_place(void)
{
    fixture_t fixture;
    static double matrix[3000][7];
    set_up(&fixture);
    uint32_t series = define_column(&fixture);
    set_ten_bins(&fixture, series);
    obs_shape_t shape = shape_of(&fixture, series);
    obs_producer_t *producer = attach(&fixture);
    double sum = 0;
    for (int i = 0; i < 3000; i++) {
        matrix[i][4] = (double)(i % 12);
        sum += 2 * matrix[i][4] + matrix[0][4];
    }
    obs_producer_add_column(producer, &shape, &matrix[0][4], sizeof matrix[0], 3000);
    obs_producer_add_column(producer, &shape, &matrix[2999][4], -(ptrdiff_t)sizeof matrix[0], 3000);
    obs_producer_add_column(producer, &shape, &matrix[0][4], 0, 3000);
    obs_producer_add_column(producer, &shape, &matrix[0][4], sizeof matrix[0], 0);
    CHECK_EQ(accounts(&fixture).observed, 9000);
    step_after(&fixture, 1000 * MS);
    int batch_count;
    sided_t found = taken(&fixture, &batch_count);
    CHECK_EQ(sided_samples(&found), 9000);
    CHECK(found.hist.sum == sum && found.column.edges->total == 9000);
    sided_free(&found);
    tear_down(&fixture);
}

/* Many values are sketched by the thread; and so are those for which the ring has no room. */
static void what_the_ring_cannot_hold_is_sketched_by_the_thread(void)
{
    fixture_t fixture;
    static double values[1 << 17];
    obs_drain_options_t chosen = options(OBS_RING_CHUNK_BYTES);
    set_up_with(&fixture, &chosen);
    uint32_t series = define_column(&fixture), other = define_column(&fixture);
    set_ten_bins(&fixture, series);
    obs_shape_t shape = shape_of(&fixture, series), of_other = shape_of(&fixture, other);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < 1 << 17; i++)
        values[i] = (double)(i % 12);
    obs_producer_add_column(producer, &shape, values, sizeof *values, 1 << 17);
    CHECK_EQ(obs_ring_head(&producer->ring), 0);
    for (int i = 0; i < 20; i++)
        obs_producer_add_column(producer, &of_other, values, sizeof *values, 5000);
    CHECK(obs_ring_head(&producer->ring) > 0);
    CHECK_EQ(accounts(&fixture).dropped, 0);
    CHECK_EQ(accounts(&fixture).observed, (1 << 17) + 100000);
    step_after(&fixture, 1000 * MS);
    int batch_count;
    sided_t found = taken(&fixture, &batch_count);
    CHECK_EQ(sided_samples(&found), (1 << 17) + 100000);
    CHECK_EQ(found.column.given_up, OBS_COLUMN_EDGES); /* the one has bins, the other none */
    sided_free(&found);
    tear_down(&fixture);
}

static void nulls_without_room_are_dropped_by_their_number(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(OBS_RING_CHUNK_BYTES);
    set_up_with(&fixture, &chosen);
    uint32_t series = define_column(&fixture);
    obs_producer_t *producer = attach(&fixture);
    uint64_t pushed = 0;
    while (obs_producer_push_weighted(producer, OBS_RECORD_TAG(OBS_RECORD_NULLS, series), 10, 10) == OBS_OK)
        pushed += 10;
    CHECK_EQ(accounts(&fixture).dropped, 10);
    CHECK_EQ(accounts(&fixture).observed, pushed + 10);
    step_after(&fixture, 1000 * MS);
    int batch_count;
    sided_t found = taken(&fixture, &batch_count);
    CHECK_EQ(sided_samples(&found), pushed);
    sided_free(&found);
    tear_down(&fixture);
}

static void refuses_another_reference(void)
{
    fixture_t fixture;
    set_up(&fixture);
    uint32_t series = define_column(&fixture), others = define_column(&fixture), code = 0;
    const double edges[] = {1, 0};
    obs_series_t *column = series_of(&fixture, series), *categories = series_of(&fixture, others);
    CHECK_STATUS(obs_series_set_cuts(column, edges, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_series_set_bins(column, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_series_set_bins(column, OBS_EDGES_MAX_BINS + 1), OBS_ERR_RANGE);
    set_ten_bins(&fixture, series);
    CHECK_STATUS(obs_series_set_cuts(column, edges, 2), OBS_ERR_STATE);
    CHECK_STATUS(obs_series_set_bins(column, 3), OBS_ERR_STATE);
    static char key[OBS_TOPK_KEY_MAX + 1];
    CHECK_STATUS(obs_series_add_category(categories, key, sizeof key, &code), OBS_ERR_RANGE);
    for (uint32_t i = 0; i < OBS_CATEGORIES_MAX; i++) {
        CHECK_OK(obs_series_add_category(categories, &i, sizeof i, &code));
        CHECK_EQ(code, i);
    }
    CHECK_STATUS(obs_series_add_category(categories, key, 1, &code), OBS_ERR_FULL);
    CHECK_STATUS(obs_series_set_cuts(categories, edges, 2), OBS_ERR_STATE);
    tear_down(&fixture);
}

static void survives_each_failed_allocation(void)
{
    static double values[1 << 16];
    for (int i = 0; i < 1 << 16; i++)
        values[i] = i % 12;
    for (size_t n = 1;; n++) {
        fixture_t fixture;
        set_up(&fixture);
        uint32_t series = define_column(&fixture), code = 0;
        set_ten_bins(&fixture, series);
        uint32_t categories = define_column(&fixture);
        obs_shape_t shape = shape_of(&fixture, series);
        obs_producer_t *producer = attach(&fixture);
        obs_alloc_fail_at(n);
        if (obs_series_add_category(series_of(&fixture, categories), "DE", 2, &code) == OBS_OK)
            push_bits(producer, categories, OBS_RECORD_CATEGORY, code);
        observe_of(producer, series, 100);
        obs_producer_add_column(producer, &shape, values, sizeof *values, 1 << 16);
        step_after(&fixture, 1000 * MS);
        int is_armed = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        for (obs_batch_t *batch; (batch = take(&fixture)) != NULL;)
            obs_batch_free(batch);
        CHECK_EQ(fixture.samples + accounts(&fixture).dropped, accounts(&fixture).observed);
        tear_down(&fixture);
        if (is_armed)
            break;
    }
}

int main(void)
{
    RUN(every_sort_of_sample_is_counted);
    RUN(columns_stay_open_over_batches);
    RUN(no_column_crosses_an_edge);
    RUN(batches_of_columns_have_the_size_of_frames);
    RUN(a_column_of_a_matrix_is_read_in_place);
    RUN(what_the_ring_cannot_hold_is_sketched_by_the_thread);
    RUN(nulls_without_room_are_dropped_by_their_number);
    RUN(refuses_another_reference);
    RUN(survives_each_failed_allocation);
    return 0;
}

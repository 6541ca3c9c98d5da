// kernels: run_column obs
#include <string.h>

#include "check.h"
#include "order.h"
#include "run_column.h"

#define HEADER 48
#define ROWS 20000

static uint64_t expected[ROWS], asked[ROWS], values[ROWS];
static int64_t rows[ROWS], stretches[ROWS], begins[ROWS], ends[ROWS];

/* A file of exactly its size with one column, and 8 bytes a row of another one behind it in each group. */
static uint8_t *file_of(obs_run_column_t *column, size_t *size)
{
    uint64_t groups = (column->rows + column->group_rows - 1) / column->group_rows;
    column->first = HEADER;
    column->group_bytes = column->group_rows * (column->width + 8u);
    *size = HEADER + groups * column->group_bytes;
    uint8_t *file = malloc(*size);
    CHECK(file != NULL);
    memset(file, 0xa5, *size);
    column->bytes = file;
    return file;
}

static void put(uint8_t *file, const obs_run_column_t *column, uint64_t row, uint64_t stored)
{
    uint8_t *place = file + column->first + row / column->group_rows * column->group_bytes +
                     row % column->group_rows * column->width;
    for (unsigned byte = 0; byte < column->width; byte++)
        place[byte] = (uint8_t)(stored >> (8 * byte));
}

/* Ascending numbers of which some are equal, as far as the width goes. */
static void fill(uint8_t *file, const obs_run_column_t *column, uint64_t step)
{
    uint64_t stored = 0, most = column->width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * column->width)) - 1;
    for (uint64_t row = 0; row < column->rows; row++) {
        stored = row % 3 != 0 && stored < most - step ? stored + step : stored;
        put(file, column, row, stored);
        expected[row] = (column->width == 0 ? 0 : stored) + column->low;
    }
}

static void expect_values(const obs_run_column_t *column)
{
    uint64_t random = 1, begin = column->rows / 3, count = column->rows - begin;
    for (uint64_t i = 0; i < column->rows; i++)
        rows[i] = (int64_t)(check_random(&random) % column->rows);
    CHECK_OK(obs_run_column_take(column, rows, column->rows, values));
    for (uint64_t i = 0; i < column->rows; i++)
        CHECK(values[i] == expected[rows[i]]);
    CHECK_OK(obs_run_column_slice(column, begin, count, values));
    CHECK(memcmp(values, expected + begin, count * sizeof *values) == 0);
}

static void expect_found(const obs_run_column_t *column, uint64_t flip)
{
    uint64_t random = 2, stretch_count = (column->rows + OBS_RUN_STRETCH - 1) / OBS_RUN_STRETCH;
    size_t count = 300;
    for (size_t i = 0; i < count; i++) {
        stretches[i] = (int64_t)(check_random(&random) % stretch_count);
        asked[i] = expected[check_random(&random) % column->rows] + check_random(&random) % 3 - 1;
    }
    CHECK_OK(obs_run_column_find(column, stretches, asked, count, flip, begins, ends));
    for (size_t i = 0; i < count; i++) {
        uint64_t row = (uint64_t)stretches[i] * OBS_RUN_STRETCH, end = row + OBS_RUN_STRETCH;
        end = end < column->rows ? end : column->rows;
        while (row < end && (expected[row] ^ flip) < (asked[i] ^ flip))
            row++;
        CHECK_EQ(begins[i], row);
        while (row < end && expected[row] == asked[i])
            row++;
        CHECK_EQ(ends[i], row);
    }
}

static void reads_and_finds_what_was_written(void)
{
    const uint8_t widths[] = {0, 1, 2, 4, 8};
    const uint64_t row_counts[] = {1, 63, 64, 65, 8192, 8193, ROWS}, group_rows[] = {8192, 1024, 24 * 64};
    for (size_t w = 0; w < sizeof widths; w++)
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
            for (size_t g = 0; g < sizeof group_rows / sizeof *group_rows; g++) {
                obs_run_column_t column = {.rows = row_counts[r],
                                           .group_rows = group_rows[g],
                                           .low = widths[w] == 8 ? 0 : UINT64_MAX - 1000,
                                           .kind = OBS_RUN_WHOLE,
                                           .width = widths[w],
                                           .item = 8};
                size_t size;
                uint8_t *file = file_of(&column, &size);
                fill(file, &column, widths[w] == 8 ? UINT64_MAX / ROWS : 1);
                CHECK_OK(obs_run_column_check(&column, size));
                expect_values(&column);
                expect_found(&column, OBS_ORDER_SIGNED * (widths[w] != 8));
                free(file);
            }
}

static void items_are_as_wide_as_in_memory(void)
{
    obs_run_column_t column = {.rows = 9, .group_rows = 16, .low = 0xfffe, .width = 1, .item = 2};
    size_t size;
    uint8_t *file = file_of(&column, &size);
    fill(file, &column, 1);
    uint16_t pairs[10] = {[9] = 77};
    CHECK_OK(obs_run_column_slice(&column, 0, 9, pairs));
    for (size_t row = 0; row < 9; row++)
        CHECK_EQ(pairs[row], (uint16_t)expected[row]);
    CHECK_EQ(pairs[9], 77);
    column.item = 4;
    uint32_t four[2] = {0, 77};
    CHECK_OK(obs_run_column_take(&column, (const int64_t[]){8}, 1, four));
    CHECK(four[0] == (uint32_t)expected[8] && four[1] == 77);
    column.item = 1;
    uint8_t one[2] = {0, 77};
    CHECK_OK(obs_run_column_take(&column, (const int64_t[]){8}, 1, one));
    CHECK(one[0] == (uint8_t)expected[8] && one[1] == 77);
    free(file);
}

static double real_at(const obs_run_column_t *column, int64_t row)
{
    double value;
    CHECK_OK(obs_run_column_take(column, &row, 1, &value));
    return value;
}

static void reals_are_whole_ones_above_the_lowest_or_singles(void)
{
    const double low = -3;
    const float single = 0.1f;
    uint32_t single_bits;
    memcpy(&single_bits, &single, sizeof single_bits);
    obs_run_column_t column = {.rows = 2, .group_rows = 8, .kind = OBS_RUN_REAL, .width = 2, .item = 8};
    memcpy(&column.low, &low, sizeof column.low);
    size_t size;
    uint8_t *file = file_of(&column, &size);
    put(file, &column, 1, 500);
    CHECK(real_at(&column, 1) == 497);
    free(file);
    column.kind = OBS_RUN_SINGLE;
    column.width = 4;
    file = file_of(&column, &size);
    put(file, &column, 1, single_bits);
    CHECK(real_at(&column, 1) == (double)single);
    free(file);
}

/* Of a column of 100 rows in groups of 64, all that can be wrong. */
static void what_lies_outside_is_refused(void)
{
    obs_run_column_t column = {.rows = 100, .group_rows = 64, .width = 4, .item = 8}, other;
    size_t size;
    uint8_t *file = file_of(&column, &size);
    uint64_t end = HEADER + column.group_bytes + 64 * 4, out[1];
    const int64_t last = 99, behind = 100, negative = -1, stretch = 1, no_stretch = 2;
    const uint64_t key = 7;
    CHECK_OK(obs_run_column_check(&column, end));
    CHECK_STATUS(obs_run_column_check(&column, end - 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_run_column_check(&column, 0), OBS_ERR_RANGE);
    const uint64_t far[] = {UINT64_MAX, UINT64_MAX / 2, UINT64_MAX - HEADER, size};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        for (int field = 0; field < 3; field++) {
            other = column;
            *(field == 0 ? &other.first : field == 1 ? &other.group_bytes : &other.rows) = far[i];
            CHECK_STATUS(obs_run_column_check(&other, size), OBS_ERR_RANGE);
        }
    }
    for (int width = 0; width < 256; width++) {
        other = column;
        other.width = (uint8_t)width;
        bool is_known = width == 0 || width == 1 || width == 2 || width == 4 || width == 8;
        CHECK_EQ(obs_run_column_check(&other, 2 * size), is_known ? OBS_OK : OBS_ERR_RANGE);
        other = column;
        other.item = (uint8_t)width;
        CHECK_EQ(obs_run_column_check(&other, size), is_known && width > 0 ? OBS_OK : OBS_ERR_RANGE);
    }
    other = column;
    other.group_rows = 0;
    CHECK_STATUS(obs_run_column_check(&other, size), OBS_ERR_RANGE);
    CHECK_OK(obs_run_column_take(&column, &last, 1, out));
    CHECK_STATUS(obs_run_column_take(&column, &behind, 1, out), OBS_ERR_RANGE);
    CHECK_STATUS(obs_run_column_take(&column, &negative, 1, out), OBS_ERR_RANGE);
    CHECK_OK(obs_run_column_slice(&column, 99, 1, out));
    CHECK_OK(obs_run_column_slice(&column, 100, 0, out));
    CHECK_STATUS(obs_run_column_slice(&column, 99, 2, out), OBS_ERR_RANGE);
    CHECK_STATUS(obs_run_column_slice(&column, 101, 0, out), OBS_ERR_RANGE);
    CHECK_OK(obs_run_column_find(&column, &stretch, &key, 1, 0, begins, ends));
    CHECK_STATUS(obs_run_column_find(&column, &no_stretch, &key, 1, 0, begins, ends), OBS_ERR_RANGE);
    CHECK_STATUS(obs_run_column_find(&column, &negative, &key, 1, 0, begins, ends), OBS_ERR_RANGE);
    column.group_rows = 72; /* a stretch would lie in two groups */
    CHECK_STATUS(obs_run_column_find(&column, &stretch, &key, 1, 0, begins, ends), OBS_ERR_RANGE);
    column.group_rows = 64;
    column.item = 4;
    CHECK_STATUS(obs_run_column_find(&column, &stretch, &key, 1, 0, begins, ends), OBS_ERR_RANGE);
    free(file);
}

static void what_is_found_in_what_is_not_sorted_is_inside(void)
{
    obs_run_column_t column = {.rows = 1000, .group_rows = 1024, .width = 8, .item = 8};
    size_t size;
    uint8_t *file = file_of(&column, &size);
    uint64_t random = 5;
    for (uint64_t row = 0; row < column.rows; row++)
        put(file, &column, row, check_random(&random));
    for (size_t i = 0; i < 16; i++) {
        stretches[i] = (int64_t)i;
        asked[i] = check_random(&random);
    }
    CHECK_OK(obs_run_column_find(&column, stretches, asked, 16, 0, begins, ends));
    for (int64_t i = 0; i < 16; i++) {
        CHECK(begins[i] >= i * OBS_RUN_STRETCH && begins[i] <= ends[i]);
        CHECK(ends[i] <= (i < 15 ? (i + 1) * OBS_RUN_STRETCH : 1000));
    }
    free(file);
}

static void a_sieve_passes_keys_whose_bit_is_set(void)
{
    uint8_t sieve[16] = {0};
    const uint64_t keys[] = {0, UINT64_C(1) << 57, UINT64_C(0x5) << 57, UINT64_MAX, (UINT64_C(0x5) << 57) + 1};
    int64_t passed[5];
    size_t count = 99;
    CHECK_OK(obs_run_sieve(sieve, 16, keys, 5, passed, &count));
    CHECK_EQ(count, 0);
    sieve[0] = 1 << 5; /* keys whose first 7 bits are 5 */
    sieve[15] = 1 << 7;
    CHECK_OK(obs_run_sieve(sieve, 16, keys, 5, passed, &count));
    CHECK_EQ(count, 3);
    CHECK(passed[0] == 2 && passed[1] == 3 && passed[2] == 4);
    CHECK_OK(obs_run_sieve(sieve, 8, keys, 5, passed, &count));
    const size_t sizes[] = {0, 1, 4, 7, 9, 12, 15};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        CHECK_STATUS(obs_run_sieve(sieve, sizes[i], keys, 5, passed, &count), OBS_ERR_RANGE);
}

int main(void)
{
    RUN(reads_and_finds_what_was_written);
    RUN(items_are_as_wide_as_in_memory);
    RUN(reals_are_whole_ones_above_the_lowest_or_singles);
    RUN(what_lies_outside_is_refused);
    RUN(what_is_found_in_what_is_not_sorted_is_inside);
    RUN(a_sieve_passes_keys_whose_bit_is_set);
    return 0;
}

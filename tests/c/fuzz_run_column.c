// kernels: run_column obs
/* Any bytes as a column's place and the file in which it lies: what is accepted is read by row and in a row as its
 * bytes say, and searched as one who looks at each row finds. */
#include "fuzz.h"
#include "obs_port.h"
#include "run_column.h"

enum { PLACE_SIZE = 43, AT_ONCE_MAX = 300, SOME = 20 };

static const uint8_t *file;
static size_t file_size;

/* The first bytes say where the column lies. */
static obs_run_column_t column_of(const uint8_t *place)
{
    return (obs_run_column_t){
        .bytes = file,
        .kind = (obs_run_kind_t)(place[0] % 4), /* one too many */
        .width = place[1],
        .item = place[2],
        .rows = obs_load_u64(place + 3),
        .group_rows = obs_load_u64(place + 11),
        .first = obs_load_u64(place + 19),
        .group_bytes = obs_load_u64(place + 27),
        .low = obs_load_u64(place + 35),
    };
}

static uint64_t expected(const obs_run_column_t *column, uint64_t row)
{
    uint64_t stored = 0, mask = column->item == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * column->item) - 1;
    for (unsigned byte = 0; byte < column->width; byte++) {
        uint64_t place = column->first + row / column->group_rows * column->group_bytes +
                         row % column->group_rows * column->width + byte;
        CHECK(place < file_size);
        stored |= (uint64_t)file[place] << 8 * byte;
    }
    uint32_t low_half = (uint32_t)stored;
    float single;
    memcpy(&single, &low_half, sizeof single);
    if (column->kind == OBS_RUN_REAL)
        return obs_f64_bits((double)stored + obs_f64_of_bits(column->low));
    return column->kind == OBS_RUN_SINGLE ? obs_f64_bits((double)single) : (stored + column->low) & mask;
}

static uint64_t item_at(const obs_run_column_t *column, const uint8_t *items, size_t index)
{
    uint64_t value = 0;
    memcpy(&value, items + index * column->item, column->item);
    return value;
}

/* Also NaN, of which two are equal where their bits are. */
static void check_values(const obs_run_column_t *column, uint64_t *random)
{
    uint64_t begin = check_random(random) % column->rows, left = column->rows - begin;
    size_t count = left < AT_ONCE_MAX ? (size_t)left : AT_ONCE_MAX;
    int64_t rows[AT_ONCE_MAX + 1];
    uint8_t items[AT_ONCE_MAX * 8];
    CHECK_OK(obs_run_column_slice(column, begin, count, items));
    for (size_t i = 0; i < count; i++)
        CHECK(item_at(column, items, i) == expected(column, begin + i));
    for (size_t i = 0; i < SOME; i++)
        rows[i] = (int64_t)(check_random(random) % column->rows);
    CHECK_OK(obs_run_column_take(column, rows, SOME, items));
    for (size_t i = 0; i < SOME; i++)
        CHECK(item_at(column, items, i) == expected(column, (uint64_t)rows[i]));
    rows[SOME] = check_random(random) % 2 != 0 ? (int64_t)column->rows : -1;
    CHECK_STATUS(obs_run_column_take(column, rows, SOME + 1, items), OBS_ERR_RANGE);
    CHECK_STATUS(obs_run_column_slice(column, begin, (size_t)left + 1, items), OBS_ERR_RANGE);
}

/* Inside of the stretch, whatever is there; where it ascends, the rows that are equal to the key. */
static void check_stretch(const obs_run_column_t *column, uint64_t row, uint64_t key, uint64_t flip, int64_t begin,
                          int64_t end)
{
    uint64_t behind = column->rows - row < OBS_RUN_STRETCH ? column->rows : row + OBS_RUN_STRETCH;
    CHECK(begin >= (int64_t)row && begin <= end && end <= (int64_t)behind);
    for (uint64_t each = row + 1; each < behind; each++)
        if ((expected(column, each - 1) ^ flip) > (expected(column, each) ^ flip))
            return;
    uint64_t first = row;
    while (first < behind && (expected(column, first) ^ flip) < (key ^ flip))
        first++;
    CHECK_EQ(begin, first);
    while (first < behind && expected(column, first) == key)
        first++;
    CHECK_EQ(end, first);
}

static void check_finding(const obs_run_column_t *column, uint64_t *random)
{
    int64_t stretches[SOME], begins[SOME], ends[SOME];
    uint64_t keys[SOME], flip = check_random(random) % 2 << 63;
    uint64_t stretch_count = column->rows / OBS_RUN_STRETCH + (column->rows % OBS_RUN_STRETCH != 0);
    for (size_t i = 0; i < SOME; i++) {
        uint64_t row = check_random(random) % column->rows;
        stretches[i] = (int64_t)(row / OBS_RUN_STRETCH);
        keys[i] = expected(column, row) + check_random(random) % 3 - 1;
    }
    int status = obs_run_column_find(column, stretches, keys, SOME, flip, begins, ends);
    bool has_stretches = column->rows <= column->group_rows || column->group_rows % OBS_RUN_STRETCH == 0;
    if (column->kind != OBS_RUN_WHOLE || column->item != 8 || !has_stretches) {
        CHECK_STATUS(status, OBS_ERR_RANGE);
        return;
    }
    CHECK_OK(status);
    for (size_t i = 0; i < SOME; i++)
        check_stretch(column, (uint64_t)stretches[i] * OBS_RUN_STRETCH, keys[i], flip, begins[i], ends[i]);
    stretches[SOME - 1] = (int64_t)stretch_count;
    CHECK_STATUS(obs_run_column_find(column, stretches, keys, SOME, flip, begins, ends), OBS_ERR_RANGE);
}

static void check_sieve(uint64_t *random)
{
    uint64_t keys[SOME];
    int64_t passed[SOME];
    size_t count = 77, found = 0, whole = 8;
    unsigned bits = 6;
    for (size_t i = 0; i < SOME; i++)
        keys[i] = check_random(random);
    CHECK_STATUS(obs_run_sieve(file, file_size | 1, keys, SOME, passed, &count), OBS_ERR_RANGE);
    if (file_size < whole)
        return;
    for (; whole * 2 <= file_size; bits++)
        whole *= 2;
    CHECK_OK(obs_run_sieve(file, whole, keys, SOME, passed, &count));
    for (size_t i = 0; i < SOME; i++) {
        uint64_t bit = keys[i] >> (64 - bits);
        if (file[bit / 8] >> bit % 8 & 1)
            CHECK_EQ(passed[found++], i);
    }
    CHECK_EQ(count, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PLACE_SIZE)
        return 0;
    file = data + PLACE_SIZE;
    file_size = size - PLACE_SIZE;
    uint64_t random = size;
    obs_run_column_t column = column_of(data);
    int status = obs_run_column_check(&column, file_size);
    check_sieve(&random);
    if (status != OBS_OK) {
        CHECK_STATUS(status, OBS_ERR_RANGE);
        return 0;
    }
    if (column.rows == 0)
        return 0;
    check_values(&column, &random);
    check_finding(&column, &random);
    return 0;
}

#include "run_column.h"

#include "obs_port.h"

#define ALWAYS_INLINE __attribute__((always_inline)) static inline
#define PORTION 256 /* values that are decoded at a time */
#define AT_ONCE 16  /* searches whose memory is waited for at the same time */
#define SIEVE_BYTES_MIN 8
#define USUAL_GROUP_ROWS 8192

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

int obs_run_column_check(const obs_run_column_t *column, uint64_t size)
{
    bool is_width = column->width == 0 || (column->width <= 8 && is_power_of_two(column->width));
    bool is_item = column->item <= 8 && is_power_of_two(column->item);
    bool is_kind = column->kind == OBS_RUN_WHOLE || (column->item == 8 && column->kind <= OBS_RUN_SINGLE);
    if (!is_width || !is_item || !is_kind || column->group_rows == 0 || column->rows > INT64_MAX)
        return OBS_ERR_RANGE;
    if (column->rows == 0)
        return OBS_OK;
    uint64_t last_group = (column->rows - 1) / column->group_rows, begin;
    uint64_t last_row = (last_group > 0 ? column->group_rows : column->rows) - 1;
    if (__builtin_mul_overflow(last_group, column->group_bytes, &begin) ||
        __builtin_add_overflow(begin, column->first, &begin) || begin > size)
        return OBS_ERR_RANGE;
    return column->width == 0 || last_row < (size - begin) / column->width ? OBS_OK : OBS_ERR_RANGE;
}

/* Long runs have groups of one length, a power of two: a division would take longer than all the rest. */
static inline uint64_t group_of(const obs_run_column_t *column, uint64_t row)
{
    if (OBS_LIKELY(column->group_rows == USUAL_GROUP_ROWS))
        return row / USUAL_GROUP_ROWS;
    return row / column->group_rows;
}

static inline const uint8_t *place_of(const obs_run_column_t *column, uint64_t row)
{
    uint64_t group = group_of(column, row), within = row - group * column->group_rows;
    return column->bytes + column->first + group * column->group_bytes + within * column->width;
}

ALWAYS_INLINE uint64_t stored_at(const uint8_t *place, unsigned width)
{
    uint16_t pair;
    switch (width) {
    case 0:
        return 0;
    case 1:
        return *place;
    case 2:
        memcpy(&pair, place, sizeof pair);
        return OBS_LE16(pair);
    case 4:
        return obs_load_u32(place);
    default:
        return obs_load_u64(place);
    }
}

/* Without rows, from place on. */
ALWAYS_INLINE void read_wide(const obs_run_column_t *column, const uint8_t *place, const int64_t *rows, size_t count,
                             uint64_t *values, unsigned width)
{
    for (size_t i = 0; i < count; i++)
        values[i] = stored_at(rows == NULL ? place + i * width : place_of(column, (uint64_t)rows[i]), width);
}

ALWAYS_INLINE void read_stored(const obs_run_column_t *column, const uint8_t *place, const int64_t *rows, size_t count,
                               uint64_t *values)
{
    switch (column->width) {
    case 0:
        memset(values, 0, count * sizeof *values);
        break;
    case 1:
        read_wide(column, place, rows, count, values, 1);
        break;
    case 2:
        read_wide(column, place, rows, count, values, 2);
        break;
    case 4:
        read_wide(column, place, rows, count, values, 4);
        break;
    default:
        read_wide(column, place, rows, count, values, 8);
    }
}

static double widened(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void decode(const obs_run_column_t *column, uint64_t *values, size_t count)
{
    const double low = obs_f64_of_bits(column->low);
    switch (column->kind) {
    case OBS_RUN_WHOLE:
        for (size_t i = 0; i < count; i++)
            values[i] += column->low;
        break;
    case OBS_RUN_REAL:
        for (size_t i = 0; i < count; i++)
            values[i] = obs_f64_bits((double)values[i] + low);
        break;
    case OBS_RUN_SINGLE:
        for (size_t i = 0; i < count; i++)
            values[i] = obs_f64_bits(widened((uint32_t)values[i]));
    }
}

/* As items in memory; returns the place behind them. */
static void *put(const uint64_t *values, size_t count, unsigned item, void *out)
{
    uint8_t *ones = out;
    uint16_t *pairs = out;
    uint32_t *fours = out;
    switch (item) {
    case 1:
        for (size_t i = 0; i < count; i++)
            ones[i] = (uint8_t)values[i];
        break;
    case 2:
        for (size_t i = 0; i < count; i++)
            pairs[i] = (uint16_t)values[i];
        break;
    case 4:
        for (size_t i = 0; i < count; i++)
            fours[i] = (uint32_t)values[i];
        break;
    default:
        memcpy(out, values, count * sizeof *values);
    }
    return ones + count * item;
}

int obs_run_column_take(const obs_run_column_t *column, const int64_t *rows, size_t count, void *out)
{
    bool is_inside = true;
    for (size_t i = 0; i < count; i++)
        is_inside &= (uint64_t)rows[i] < column->rows;
    if (!is_inside)
        return OBS_ERR_RANGE;
    uint64_t values[PORTION];
    for (size_t at = 0, some; at < count; at += some) {
        some = count - at < PORTION ? count - at : PORTION;
        read_stored(column, NULL, rows + at, some, values);
        decode(column, values, some);
        out = put(values, some, column->item, out);
    }
    return OBS_OK;
}

int obs_run_column_slice(const obs_run_column_t *column, uint64_t begin, size_t count, void *out)
{
    if (begin > column->rows || count > column->rows - begin)
        return OBS_ERR_RANGE;
    uint64_t values[PORTION];
    for (size_t at = 0, some; at < count; at += some) {
        uint64_t row = begin + at, left_in_group = column->group_rows - row % column->group_rows;
        some = count - at < PORTION ? count - at : PORTION;
        some = left_in_group < some ? (size_t)left_in_group : some;
        read_stored(column, place_of(column, row), NULL, some, values);
        decode(column, values, some);
        out = put(values, some, column->item, out);
    }
    return OBS_OK;
}

/* A key, the numbers of one stretch, and how far the search in it has come. */
typedef struct {
    const uint8_t *place;
    uint64_t key;
    unsigned rows;
    unsigned begin;
    unsigned end;
} search_t;

/* Halves what is left of all stretches in turn, so that the processor waits for the memory of all at the same time. */
ALWAYS_INLINE void search_wide(search_t *searches, size_t count, uint64_t low, uint64_t flip, unsigned width)
{
    for (unsigned step = OBS_RUN_STRETCH; step > 0; step /= 2) {
        for (size_t i = 0; i < count; i++) {
            search_t *search = &searches[i];
            unsigned probe = search->begin + step - 1, last = search->rows - 1;
            unsigned read = probe < last ? probe : last;
            uint64_t value = (stored_at(search->place + (size_t)read * width, width) + low) ^ flip;
            search->begin += step * ((value < search->key) & (probe <= last)); /* chance: no branch */
        }
    }
    for (size_t i = 0; i < count; i++) {
        search_t *search = &searches[i];
        const uint64_t wanted = (search->key ^ flip) - low;
        search->end = search->begin;
        while (search->end < search->rows && stored_at(search->place + (size_t)search->end * width, width) == wanted)
            search->end++;
    }
}

static void search(const obs_run_column_t *column, search_t *searches, size_t count, uint64_t flip)
{
    switch (column->width) {
    case 0:
        search_wide(searches, count, column->low, flip, 0);
        break;
    case 1:
        search_wide(searches, count, column->low, flip, 1);
        break;
    case 2:
        search_wide(searches, count, column->low, flip, 2);
        break;
    case 4:
        search_wide(searches, count, column->low, flip, 4);
        break;
    default:
        search_wide(searches, count, column->low, flip, 8);
    }
}

/* Stretches lie in one group each, and there are rows in them. */
static bool has_stretches(const obs_run_column_t *column, const int64_t *stretches, size_t count)
{
    if (column->rows > column->group_rows && column->group_rows % OBS_RUN_STRETCH != 0)
        return false;
    const uint64_t stretch_count = column->rows / OBS_RUN_STRETCH + (column->rows % OBS_RUN_STRETCH != 0);
    bool is_inside = true;
    for (size_t i = 0; i < count; i++)
        is_inside &= (uint64_t)stretches[i] < stretch_count;
    return is_inside;
}

int obs_run_column_find(const obs_run_column_t *column, const int64_t *stretches, const uint64_t *keys, size_t count,
                        uint64_t flip, int64_t *begins, int64_t *ends)
{
    if (column->kind != OBS_RUN_WHOLE || column->item != sizeof *keys || !has_stretches(column, stretches, count))
        return OBS_ERR_RANGE;
    search_t searches[AT_ONCE];
    for (size_t at = 0, some; at < count; at += some) {
        some = count - at < AT_ONCE ? count - at : AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            uint64_t row = (uint64_t)stretches[at + i] * OBS_RUN_STRETCH, left = column->rows - row;
            searches[i] = (search_t){
                .place = place_of(column, row),
                .key = keys[at + i] ^ flip,
                .rows = left < OBS_RUN_STRETCH ? (unsigned)left : OBS_RUN_STRETCH,
            };
        }
        search(column, searches, some, flip);
        for (size_t i = 0; i < some; i++) {
            int64_t row = stretches[at + i] * OBS_RUN_STRETCH;
            begins[at + i] = row + searches[i].begin;
            ends[at + i] = row + searches[i].end;
        }
    }
    return OBS_OK;
}

int obs_run_sieve(const uint8_t *sieve, size_t size, const uint64_t *keys, size_t count, int64_t *passed,
                  size_t *passed_count)
{
    if (size < SIEVE_BYTES_MIN || !is_power_of_two(size))
        return OBS_ERR_RANGE;
    const unsigned shift = (unsigned)__builtin_clzll(size) - 2; /* 64 less the bits that choose one of 8 * size */
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bit = keys[i] >> shift;
        passed[found] = (int64_t)i;
        found += sieve[bit / 8] >> (bit % 8) & 1;
    }
    *passed_count = found;
    return OBS_OK;
}

/* columns.h: columns with known content, shared by the tests of column, body, rows and window. */
#ifndef OBS_TEST_COLUMNS_H
#define OBS_TEST_COLUMNS_H

#include <math.h>
#include <string.h>

#include "check.h"
#include "column.h"

/* A column and the histogram that is beside it. */
typedef struct {
    obs_loghist_t hist;
    obs_column_t column;
} sided_t;

static inline void sided_init(sided_t *sided)
{
    CHECK_OK(obs_loghist_init(&sided->hist, 6));
    obs_column_init(&sided->column, 0);
}

static inline void sided_free(sided_t *sided)
{
    obs_loghist_free(&sided->hist);
    obs_column_free(&sided->column);
}

static inline void sided_add(sided_t *sided, const obs_cuts_t *cuts, const double *values, size_t value_count)
{
    CHECK_OK(obs_loghist_add_many(&sided->hist, values, value_count));
    CHECK_OK(obs_column_add_many(&sided->column, cuts, values, value_count));
}

static inline uint64_t sided_samples(const sided_t *sided)
{
    uint64_t numbers = sided->hist.count + sided->hist.nan_count + sided->hist.positive_infinity_count +
                       sided->hist.negative_infinity_count;
    CHECK_EQ(obs_column_numbers(&sided->column), numbers);
    return numbers + obs_column_others(&sided->column);
}

/* Ten bins from 0 to 10. */
static inline obs_cuts_t ten_bins(void)
{
    double edges[11];
    for (int i = 0; i <= 10; i++)
        edges[i] = i;
    obs_cuts_t cuts;
    CHECK_OK(obs_cuts_init(&cuts, edges, 11));
    return cuts;
}

static inline obs_category_t category(const char *key, uint32_t bin)
{
    size_t size = strlen(key);
    return (obs_category_t){(const uint8_t *)key, (uint32_t)size, bin, obs_hash_bytes(key, size)};
}

/* Numbers of every sort, nulls and wrong types; halves of whole numbers, so that sums are the same in any order. */
static inline void fill_numbers(sided_t *sided, const obs_cuts_t *cuts, uint64_t seed, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        uint64_t random = check_random(&seed);
        double value = (double)(int64_t)(random % 25) / 2 - 1;
        switch (random >> 32 & 31) {
        case 0:
            value = (double)NAN;
            break;
        case 1:
            value = (double)INFINITY;
            break;
        case 2:
            value = (double)-INFINITY;
            break;
        case 3:
            CHECK_OK(obs_column_add_nulls(&sided->column, 1 + (random >> 40) % 3));
            continue;
        case 4:
            CHECK_OK(obs_column_add_wrong_types(&sided->column, 1));
            continue;
        default:
            break;
        }
        sided_add(sided, cuts, &value, 1);
    }
}

/* Five categories in three bins and the last one for others, nulls, and hashes of keys that are not told. */
static inline void fill_categories(sided_t *sided, uint64_t seed, size_t value_count)
{
    static const char *const KEYS[] = {"DE", "FR", "IT", "", "a category with a name that is rather long"};
    for (size_t i = 0; i < value_count; i++) {
        uint64_t random = check_random(&seed);
        uint32_t which = (uint32_t)(random % 7);
        obs_category_t known = category(KEYS[which % 5], which < 3 ? which : 3);
        const obs_category_t unknown = {.bin = 3, .hash = random};
        if (which == 6)
            CHECK_OK(obs_column_add_nulls(&sided->column, 1));
        else
            CHECK_OK(obs_column_add_category(&sided->column, which == 5 ? &unknown : &known, 4, 1 + random % 3));
    }
}

#endif

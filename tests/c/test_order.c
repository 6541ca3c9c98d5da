// kernels: order obs
#include <math.h>
#include <string.h>

#include "alloc_seam.h"
#include "check.h"
#include "order.h"

#define MOST 5000

static uint64_t keys[MOST], packed[MOST], sums[MOST];
static int64_t order[MOST], places[MOST];

/* By the keys, then by their numbers. */
static int compare_numbers(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    if (keys[a] != keys[b])
        return keys[a] < keys[b] ? -1 : 1;
    return (a > b) - (a < b);
}

static void expect_order(size_t count)
{
    static int64_t expected[MOST];
    for (size_t i = 0; i < count; i++)
        expected[i] = (int64_t)i;
    qsort(expected, count, sizeof *expected, compare_numbers);
    CHECK_OK(obs_order(keys, count, order));
    CHECK(memcmp(order, expected, count * sizeof *order) == 0);
}

/* Whichever bits differ, however many keys are equal, and where there is no room for all bits: those of the last masks
 * are told apart by their lowest bits alone. */
static void sorts_like_qsort_and_keeps_equal_keys_in_order(void)
{
    const uint64_t masks[] = {0,
                              1,
                              UINT64_MAX,
                              UINT64_C(0xff),
                              UINT64_C(0xffffffff00000000),
                              UINT64_C(0x8000000000000001),
                              UINT64_C(0x8000000000000fff),
                              UINT64_C(0xf00000000000000f)};
    const size_t counts[] = {0, 1, 2, 3, 48, 49, 1023, 1024, MOST};
    uint64_t random = 1;
    for (size_t mask = 0; mask < sizeof masks / sizeof *masks; mask++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            for (size_t j = 0; j < counts[i]; j++)
                keys[j] = UINT64_C(0x3fe123456789abcd) ^ (check_random(&random) & masks[mask]);
            expect_order(counts[i]);
        }
}

static void what_ascends_stays(void)
{
    for (size_t i = 0; i < MOST; i++)
        keys[i] = i / 3;
    expect_order(MOST);
    keys[MOST - 1] = 0;
    expect_order(MOST);
}

static void survives_a_failed_allocation(void)
{
    keys[0] = 2;
    keys[1] = 1;
    obs_alloc_fail_at(1);
    int status = obs_order(keys, 2, order);
    if (status != OBS_OK) /* without the seam nothing fails */
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    obs_alloc_fail_at(0);
    CHECK_EQ(obs_alloc_live(), 0);
}

static void expect_places(size_t own_count, const uint64_t *asked, size_t count, uint64_t flip, bool or_equal)
{
    static int64_t found[MOST];
    obs_order_places(keys, own_count, asked, count, flip, or_equal, found);
    for (size_t i = 0; i < count; i++) {
        int64_t before = 0;
        for (size_t j = 0; j < own_count; j++)
            before += (keys[j] ^ flip) < (asked[i] ^ flip) || (or_equal && keys[j] == asked[i]);
        CHECK_EQ(found[i], before);
    }
}

/* Of sorted and of other keys, among numbers with a sign and without one, of which some are equal. */
static void places_are_those_of_a_plain_count(void)
{
    uint64_t asked[300], random = 2;
    const size_t counts[] = {0, 1, 2, 7, 64, 700};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int variant = 0; variant < 8; variant++) {
            uint64_t flip = variant & 1 ? OBS_ORDER_SIGNED : 0, step = variant & 2 ? 3 : 0;
            for (size_t j = 0; j < counts[i]; j++)
                keys[j] = (2 * (j / 2) + UINT64_C(0x7fffffffffffff00)) ^ flip;
            for (size_t j = 0; j < 300; j++)
                asked[j] = ((step ? j * step : check_random(&random) % 900) + UINT64_C(0x7ffffffffffffef0)) ^ flip;
            asked[0] = 0;
            asked[299] = UINT64_MAX;
            expect_places(counts[i], asked, 300, flip, variant & 4);
        }
}

static void places_among_what_is_not_sorted_are_inside(void)
{
    uint64_t asked[300], random = 3;
    for (size_t i = 0; i < 700; i++)
        keys[i] = check_random(&random);
    for (size_t i = 0; i < 300; i++)
        asked[i] = check_random(&random);
    obs_order_places(keys, 700, asked, 300, 0, false, places);
    for (size_t i = 0; i < 300; i++)
        CHECK(places[i] >= 0 && places[i] <= 700);
}

static void packed_rows_sort_as_rows_do(void)
{
    static int64_t times[MOST];
    static int16_t bins[MOST];
    static uint8_t flags[MOST];
    uint64_t random = 4;
    for (size_t i = 0; i < MOST; i++) {
        times[i] = (int64_t)(check_random(&random) % 50) - 20;
        bins[i] = (int16_t)(check_random(&random) % 7 - 3);
        flags[i] = check_random(&random) % 2;
    }
    const obs_order_column_t columns[] = {{times, 8, true}, {bins, 2, true}, {flags, 1, false}};
    CHECK_OK(obs_order_pack(columns, 3, MOST, packed));
    for (size_t i = 1; i < MOST; i++) {
        int64_t one = (times[i - 1] * 100 + bins[i - 1]) * 10 + flags[i - 1];
        int64_t other = (times[i] * 100 + bins[i]) * 10 + flags[i];
        CHECK_EQ((packed[i - 1] > packed[i]) - (packed[i - 1] < packed[i]), (one > other) - (one < other));
    }
}

/* The widest ranges that go into 64 bits, and one bit more. */
static void rows_that_are_too_wide_are_refused(void)
{
    const int64_t wide[] = {INT64_MIN, INT64_MAX, 0}, same[] = {7, 7, 7};
    const uint32_t narrow[] = {0, UINT32_MAX, 1}, half[] = {0, INT32_MAX, 1};
    const uint8_t bits[] = {0, 1, 1};
    const obs_order_column_t alone[] = {{same, 8, true}, {wide, 8, true}, {same, 8, true}};
    CHECK_OK(obs_order_pack(alone, 3, 3, packed));
    CHECK(packed[0] == 0 && packed[1] == UINT64_MAX && packed[2] == UINT64_C(1) << 63);
    const obs_order_column_t full[] = {{narrow, 4, false}, {half, 4, false}, {bits, 1, false}};
    CHECK_OK(obs_order_pack(full, 3, 3, packed));
    CHECK(packed[1] == UINT64_MAX);
    const obs_order_column_t more[] = {{narrow, 4, false}, {narrow, 4, false}, {bits, 1, false}};
    CHECK_STATUS(obs_order_pack(more, 3, 3, packed), OBS_ERR_RANGE);
    const obs_order_column_t odd[] = {{narrow, 3, false}};
    CHECK_STATUS(obs_order_pack(odd, 1, 3, packed), OBS_ERR_RANGE);
}

static void groups_add_up(void)
{
    const int64_t whole[] = {1, -2, 30, 400};
    const double real[] = {0.5, -0.25, 4, INFINITY};
    uint64_t bits[4];
    const int64_t at[] = {3, 2, 1, 0, 0}, starts[] = {0, 1, 4};
    memcpy(bits, whole, sizeof bits);
    CHECK_OK(obs_order_add(bits, 4, false, at, 5, starts, 3, sums));
    CHECK_EQ(sums[0], 400);
    CHECK_EQ(sums[1], 30 - 2 + 1);
    CHECK_EQ(sums[2], 1);
    memcpy(bits, real, sizeof bits);
    CHECK_OK(obs_order_add(bits, 4, true, at, 5, starts, 3, sums));
    double added[3];
    memcpy(added, sums, sizeof added);
    CHECK(isinf(added[0]) && added[1] == 4 - 0.25 + 0.5 && added[2] == 0.5);
}

static void groups_outside_are_refused(void)
{
    const uint64_t values[] = {1, 2};
    const int64_t at[] = {0, 1, 0}, beyond[] = {0, 2, 0}, negative[] = {0, -1, 0};
    const int64_t starts[] = {0, 2}, falling[] = {2, 1}, far[] = {0, 3}, before[] = {-1, 2};
    CHECK_OK(obs_order_add(values, 2, false, at, 3, starts, 2, sums));
    CHECK_STATUS(obs_order_add(values, 2, false, beyond, 3, starts, 2, sums), OBS_ERR_RANGE);
    CHECK_STATUS(obs_order_add(values, 2, false, negative, 3, starts, 2, sums), OBS_ERR_RANGE);
    CHECK_STATUS(obs_order_add(values, 2, false, at, 3, falling, 2, sums), OBS_ERR_RANGE);
    CHECK_STATUS(obs_order_add(values, 2, false, at, 3, far, 2, sums), OBS_ERR_RANGE);
    CHECK_STATUS(obs_order_add(values, 2, false, at, 3, before, 2, sums), OBS_ERR_RANGE);
    CHECK_OK(obs_order_add(values, 2, false, at, 0, starts, 0, sums));
}

int main(void)
{
    RUN(sorts_like_qsort_and_keeps_equal_keys_in_order);
    RUN(what_ascends_stays);
    RUN(survives_a_failed_allocation);
    RUN(places_are_those_of_a_plain_count);
    RUN(places_among_what_is_not_sorted_are_inside);
    RUN(packed_rows_sort_as_rows_do);
    RUN(rows_that_are_too_wide_are_refused);
    RUN(groups_add_up);
    RUN(groups_outside_are_refused);
    return 0;
}

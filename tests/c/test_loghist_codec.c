// kernels: loghist obs
/* The compact form: round trips, sizes, merges. test_loghist_hostile.c has the bytes that nobody should write. */
#include "alloc_seam.h"
#include "loghist_codec_check.h"

static void everything_round_trips(void)
{
    obs_loghist_t hist = new_hist(4);
    check_round_trip(&hist);
    CHECK_OK(obs_loghist_add(&hist, NAN, 3));
    check_round_trip(&hist);
    CHECK_OK(obs_loghist_add(&hist, 0.0, 3));
    check_round_trip(&hist);
    obs_loghist_free(&hist);
    for (int scale = 0; scale <= 8; scale++)
        for (size_t count = 1; count < 3000; count = count * 3 / 2 + 1) {
            hist = wild_hist(scale, count, count);
            check_round_trip(&hist);
            obs_loghist_free(&hist);
            hist = lognormal_hist(scale, count, count);
            check_round_trip(&hist);
            obs_loghist_free(&hist);
        }
}

/* Counts around every field width's escape, and around the sizes of an excess. */
static void every_size_of_count_round_trips(void)
{
    for (unsigned bit = 2; bit < 63; bit++)
        for (int step = -2; step <= 2; step++) {
            obs_loghist_t hist = new_hist(6);
            uint64_t weight = (UINT64_C(1) << bit) + (uint64_t)(int64_t)step;
            for (int i = 0; i < 70; i++) /* odd ones out among small counts, on two pages */
                CHECK_OK(obs_loghist_add(&hist, obs_loghist_lower_bound(i + 1, 6), i % 30 == 7 ? weight : 1));
            check_round_trip(&hist);
            obs_loghist_free(&hist);
        }
    obs_loghist_t hist = new_hist(6);
    CHECK_OK(obs_loghist_add(&hist, -1.5, UINT64_MAX - 7));
    CHECK_OK(obs_loghist_add(&hist, NAN, 7));
    check_round_trip(&hist);
    obs_loghist_free(&hist);
}

/* One bit, all bits and everything between, so that fields end in every place of a byte and a word. */
static void every_density_round_trips(void)
{
    uint64_t seed = 3;
    for (int occupied = 1; occupied <= 64; occupied++)
        for (uint64_t greatest = 1; greatest <= 1024; greatest *= 4) {
            obs_loghist_t hist = new_hist(6);
            for (int i = 0; i < occupied; i++)
                CHECK_OK(obs_loghist_add(&hist, obs_loghist_lower_bound(1 + (i * 37) % 64, 6),
                                         1 + check_random(&seed) % greatest));
            check_round_trip(&hist);
            obs_loghist_free(&hist);
        }
}

/* Pages that begin or end with empty buckets, in whichever form. */
static void every_stretch_of_a_page_round_trips(void)
{
    for (int first = 1; first <= 64; first++)
        for (int last = first; last <= 64; last += 1 + last % 3)
            for (uint64_t weight = 1; weight <= 4; weight += 3) {
                obs_loghist_t hist = new_hist(6);
                for (int i = first; i <= last; i++)
                    CHECK_OK(obs_loghist_add(&hist, obs_loghist_lower_bound(i, 6), weight));
                check_round_trip(&hist);
                obs_loghist_free(&hist);
            }
}

static void the_bound_holds_where_every_count_is_escaped(void)
{
    for (uint64_t weight = 100; weight < UINT64_C(1) << 50; weight *= 3) {
        obs_loghist_t hist = new_hist(6);
        for (int i = 1; i <= 64 * 8; i++)
            CHECK_OK(obs_loghist_add(&hist, obs_loghist_lower_bound(i, 6), weight));
        check_round_trip(&hist);
        obs_loghist_free(&hist);
    }
}

/* On this processor's word for NaN, whatever it is, nothing may depend. */
static void a_sum_that_overflowed_both_ways_round_trips(void)
{
    obs_loghist_t hist = new_hist(6), other = new_hist(6);
    CHECK_OK(obs_loghist_add(&hist, 1e308, 10));
    CHECK_OK(obs_loghist_add(&other, -1e308, 10));
    CHECK(hist.sum == INFINITY && other.sum == -INFINITY);
    check_round_trip(&hist);
    check_round_trip(&other);
    CHECK_OK(obs_loghist_merge(&hist, &other));
    CHECK(isnan(hist.sum));
    hist.sum = double_of(UINT64_C(0xfff8000000000001));
    check_round_trip(&hist);
    obs_loghist_free(&hist);
    obs_loghist_free(&other);
}

static void sizes_are_small(void)
{
    size_t total = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        obs_loghist_t hist = lognormal_hist(6, 1000, seed);
        total += encode(&hist);
        obs_loghist_free(&hist);
    }
    CHECK(total / 20 <= 250);
    obs_loghist_t hist = new_hist(8); /* distance costs nothing */
    CHECK_OK(obs_loghist_add(&hist, 1e-300, 1));
    CHECK_OK(obs_loghist_add(&hist, 1e300, 1));
    CHECK(encode(&hist) < 64);
    obs_loghist_free(&hist);
    hist = new_hist(6);
    CHECK_EQ(encode(&hist), 3);
}

static void too_little_room_is_refused(void)
{
    obs_loghist_t hist = wild_hist(5, 300, 4);
    size_t size = encode(&hist), written = 12345;
    for (size_t capacity = 0; capacity < size; capacity++) {
        uint8_t *out = malloc(capacity + 1);
        CHECK_STATUS(obs_loghist_encode(&hist, out, capacity, &written), OBS_ERR_FULL);
        free(out);
    }
    CHECK_EQ(written, 12345);
    uint8_t *out = malloc(size);
    CHECK_OK(obs_loghist_encode(&hist, out, size, &written));
    CHECK_EQ(written, size);
    free(out);
    obs_loghist_free(&hist);
}

/* merge(into, decoded) and merge_encoded(into, encoded) are the same, at every pair of scales. */
static void merging_encoded_equals_merging(void)
{
    for (int into_scale = 0; into_scale <= 8; into_scale++)
        for (int from_scale = 0; from_scale <= 8; from_scale++) {
            obs_loghist_t one = wild_hist(into_scale, 300, 5), other = wild_hist(into_scale, 300, 5);
            obs_loghist_t from = wild_hist(from_scale, 400, 6);
            CHECK_OK(obs_loghist_merge(&one, &from));
            size_t size = encode(&from);
            CHECK_OK(obs_loghist_merge_encoded(&other, encoded, size));
            check_same(&one, &other);
            obs_loghist_free(&one);
            obs_loghist_free(&other);
            obs_loghist_free(&from);
        }
}

static void no_allocation_failure_changes_anything(void)
{
    obs_loghist_t from = wild_hist(4, 100, 12), before = wild_hist(6, 100, 13);
    size_t size = encode(&from), live = obs_alloc_live(), n = 1;
    for (;; n++) {
        obs_loghist_t hist;
        CHECK_OK(obs_loghist_copy(&before, &hist));
        obs_alloc_fail_at(n);
        int status = obs_loghist_merge_encoded(&hist, encoded, size);
        obs_alloc_fail_at(0);
        if (status != OBS_OK) {
            CHECK_STATUS(status, OBS_ERR_NOMEM);
            check_same(&hist, &before);
        }
        obs_loghist_free(&hist);
        if (status == OBS_OK)
            break;
    }
#ifdef OBS_ALLOC_TEST
    CHECK(n > 10);
#endif
    CHECK_EQ(obs_alloc_live(), live);
    obs_loghist_free(&from);
    obs_loghist_free(&before);
}

static void merging_too_much_is_refused(void)
{
    obs_loghist_t hist = new_hist(3), from = new_hist(6);
    CHECK_OK(obs_loghist_add(&hist, 1.5, UINT64_MAX - 1));
    CHECK_OK(obs_loghist_add(&from, 1.5, 2));
    size_t size = encode(&from);
    CHECK_STATUS(obs_loghist_merge_encoded(&hist, encoded, size), OBS_ERR_RANGE);
    CHECK(hist.count == UINT64_MAX - 1 && hist.scale == 3);
    obs_loghist_free(&hist);
    obs_loghist_free(&from);
}

int main(void)
{
    RUN(everything_round_trips);
    RUN(every_size_of_count_round_trips);
    RUN(every_density_round_trips);
    RUN(every_stretch_of_a_page_round_trips);
    RUN(the_bound_holds_where_every_count_is_escaped);
    RUN(a_sum_that_overflowed_both_ways_round_trips);
    RUN(sizes_are_small);
    RUN(too_little_room_is_refused);
    RUN(merging_encoded_equals_merging);
    RUN(no_allocation_failure_changes_anything);
    RUN(merging_too_much_is_refused);
    return 0;
}

// kernels: loghist obs
/* Adding, merging, lowering the scale, and what is left when memory runs out. */
#include "alloc_seam.h"
#include "loghist_check.h"
#include "obs_port.h"

static void add(obs_loghist_t *hist, double value, uint64_t weight)
{
    CHECK_OK(obs_loghist_add(hist, value, weight));
}

static void special_values_have_their_own_places(void)
{
    obs_loghist_t hist = new_hist(6);
    CHECK(hist.min == INFINITY && hist.max == -INFINITY && bits_of(hist.sum) == 0);
    add(&hist, NAN, 2);
    add(&hist, -NAN, 1);
    add(&hist, INFINITY, 4);
    add(&hist, -INFINITY, 5);
    CHECK_EQ(hist.nan_count, 3);
    CHECK_EQ(hist.positive_infinity_count, 4);
    CHECK_EQ(hist.negative_infinity_count, 5);
    CHECK(hist.count == 0 && hist.sum == 0 && hist.min == INFINITY && hist.max == -INFINITY);
    add(&hist, -0.0, 6);
    CHECK(bits_of(hist.min) == 0 && bits_of(hist.max) == 0 && bits_of(hist.sum) == 0);
    add(&hist, 0.0, 1);
    CHECK_EQ(hist.zero_count, 7);
    add(&hist, 0x1p-1074, 1);
    add(&hist, -3.0, 2);
    add(&hist, 3.0, 0);
    CHECK_EQ(hist.count, 10);
    CHECK(hist.min == -3.0 && hist.max == 0x1p-1074 && hist.sum == -6.0);
    CHECK_EQ(count_at(&hist.positive, obs_loghist_index(0x1p-1074, 6)), 1);
    CHECK_EQ(count_at(&hist.negative, obs_loghist_index(3.0, 6)), 2);
    check_consistent(&hist);
    obs_loghist_free(&hist);
}

/* Machine-learning libraries tell processors to take subnormals for zero. Buckets, minimum and maximum are
 * found by integer arithmetic and stay what they are. */
static void flushing_subnormals_changes_nothing(void)
{
#if OBS_ARCH_X86_64
    static double values[600];
    for (int i = 0; i < 600; i++)
        values[i] = (i % 2 ? -1 : 1) * double_of(1 + (uint64_t)i * 7919);
    obs_loghist_t expected = new_hist(6), hist = new_hist(6), bulk = new_hist(6);
    CHECK_OK(obs_loghist_add_many_reference(&expected, values, 600));
    obs_loghist_t normal = new_hist(6);
    add(&normal, -8.0, 1);
    add(&normal, -4.0, 1);
    unsigned control = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(control | 0x8040); /* flush to zero, denormals are zero */
    int status = obs_loghist_add_many_reference(&hist, values, 600);
    int bulk_status = obs_loghist_add_many(&bulk, values, 600);
    int merge_status = obs_loghist_merge(&hist, &bulk);
    double lowest = 1;
    int quantile_status = obs_loghist_quantile(&normal, 0x1p-1074, 0, &lowest);
    __builtin_ia32_ldmxcsr(control);
    CHECK_OK(status);
    CHECK_OK(bulk_status);
    CHECK_OK(merge_status);
    CHECK_OK(quantile_status);
    CHECK_OK(obs_loghist_merge(&expected, &expected));
    check_same_counts(&hist, &expected);
    CHECK(hist.min < 0 && hist.max > 0);
    CHECK_NEAR(lowest, -8.0, 0.01);
    obs_loghist_free(&normal);
    obs_loghist_free(&expected);
    obs_loghist_free(&hist);
    obs_loghist_free(&bulk);
#endif
}

static void scales_out_of_range_are_refused(void)
{
    obs_loghist_t hist;
    CHECK_STATUS(obs_loghist_init(&hist, -1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_init(&hist, 9), OBS_ERR_RANGE);
    hist = new_hist(3);
    CHECK_STATUS(obs_loghist_downscale(&hist, 4), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_downscale(&hist, -1), OBS_ERR_RANGE);
    CHECK_OK(obs_loghist_downscale(&hist, 3));
    CHECK_EQ(hist.scale, 3);
}

static void totals_never_overflow(void)
{
    obs_loghist_t hist = new_hist(6), other = new_hist(6);
    add(&hist, 1.0, UINT64_MAX - 10);
    add(&hist, NAN, 5);
    CHECK_STATUS(obs_loghist_add(&hist, 1.0, 6), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_add(&hist, INFINITY, 6), OBS_ERR_RANGE);
    CHECK(hist.count == UINT64_MAX - 10 && hist.nan_count == 5);
    add(&other, 2.0, 6);
    CHECK_STATUS(obs_loghist_merge(&hist, &other), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_merge(&other, &hist), OBS_ERR_RANGE);
    CHECK(other.count == 6 && total_of(&other.positive) == 6 && other.max == 2.0);
    const double six[6] = {1, 1, 1, 1, 1, 1};
    CHECK_STATUS(obs_loghist_add_many(&hist, six, 6), OBS_ERR_RANGE);
    CHECK(hist.count == UINT64_MAX - 5); /* the five that fitted */
    check_consistent(&hist);
    obs_loghist_free(&hist);
    obs_loghist_free(&other);
}

static void fill_wild(double *values, size_t count, uint64_t *state, int mostly_normal)
{
    for (size_t i = 0; i < count; i++) {
        int wild = !mostly_normal || check_random(state) % 4096 == 0;
        values[i] = wild ? wild_value(state) : exp(normal_value(state));
    }
}

static void add_many_equals_the_reference(void)
{
    static uint8_t room[2100 * sizeof(double) + 1];
    static double values[2100];
    uint64_t state = 7;
    for (int round = 0; round < 300; round++) {
        size_t count = round < 40 ? (size_t)round : check_random(&state) % 2100;
        fill_wild(values, count, &state, round % 2);
        memcpy(room + round % 2, values, count * sizeof(double)); /* odd rounds: unaligned */
        obs_loghist_t hist = new_hist(round % 9), reference = new_hist(round % 9);
        CHECK_OK(obs_loghist_add_many(&hist, (const double *)(const void *)(room + round % 2), count));
        CHECK_OK(obs_loghist_add_many_reference(&reference, values, count));
        check_same_counts(&hist, &reference);
        check_consistent(&hist);
        obs_loghist_free(&hist);
        obs_loghist_free(&reference);
    }
}

static void sums_agree_within_rounding(void)
{
    static double values[5000];
    uint64_t state = 8;
    for (int both_signs = 0; both_signs <= 1; both_signs++) {
        double exact = 0; /* the values are multiples of 2^-20 below 2^10, so this sum has no rounding */
        for (size_t i = 0; i < 5000; i++) {
            values[i] = (double)(int64_t)(check_random(&state) % (1 << 30)) * 0x1p-20;
            values[i] = both_signs && i % 3 == 0 ? -values[i] : values[i];
            exact += values[i];
        }
        obs_loghist_t hist = new_hist(6), reference = new_hist(6);
        CHECK_OK(obs_loghist_add_many(&hist, values, 5000));
        CHECK_OK(obs_loghist_add_many_reference(&reference, values, 5000));
        CHECK(hist.sum == exact && reference.sum == exact);
        obs_loghist_free(&hist);
        obs_loghist_free(&reference);
    }
}

static void counters_widen_beyond_32_bits(void)
{
    const int32_t bucket = obs_loghist_index(5.0, 6);
    const double fives[3] = {5, 5, 5};
    obs_loghist_t hist = new_hist(6), other = new_hist(6);
    add(&hist, 5.0, UINT32_MAX);
    add(&hist, 7.0, 3);
    add(&other, 5.0, UINT32_MAX - 1);
    CHECK_OK(obs_loghist_merge(&other, &hist));
    CHECK_EQ(count_at(&other.positive, bucket), 2 * (int64_t)UINT32_MAX - 1);
    CHECK_OK(obs_loghist_add_many(&hist, fives, 3));
    CHECK_EQ(count_at(&hist.positive, bucket), (int64_t)UINT32_MAX + 3);
    add(&hist, 5.0, UINT64_C(1) << 40);
    CHECK_EQ(count_at(&hist.positive, bucket), (INT64_C(1) << 40) + UINT32_MAX + 3);
    CHECK_EQ(count_at(&hist.positive, obs_loghist_index(7.0, 6)), 3);
    CHECK_OK(obs_loghist_downscale(&hist, 0));
    CHECK_EQ(count_at(&hist.positive, 2), (INT64_C(1) << 40) + UINT32_MAX + 6);
    check_consistent(&hist);
    check_consistent(&other);
    obs_loghist_free(&hist);
    obs_loghist_free(&other);
}

static void wide_counters_reset_and_merge_into_narrow_ones(void)
{
    obs_loghist_t hist = new_hist(6), narrow = new_hist(5);
    add(&hist, 5.0, UINT64_C(1) << 33);
    obs_loghist_reset(&hist);
    add(&hist, 5.0, 2);
    add(&narrow, 5.0, 1);
    CHECK_OK(obs_loghist_merge(&narrow, &hist));
    CHECK_EQ(count_at(&narrow.positive, obs_loghist_index(5.0, 5)), 3);
    CHECK_OK(obs_loghist_merge(&hist, &narrow));
    CHECK_EQ(count_at(&hist.positive, obs_loghist_index(5.0, 5)), 5);
    obs_loghist_free(&hist);
    obs_loghist_free(&narrow);
}

/* Any order and any partition, scales mixed, gives what one histogram at the lowest scale holds. */
static void merging_is_free_of_order(void)
{
    enum { PARTS = 12, VALUES = 3000 };
    static double values[VALUES];
    uint64_t state = 11;
    for (int round = 0; round < 20; round++) {
        int lowest = 8;
        obs_loghist_t parts[PARTS];
        for (int i = 0; i < PARTS; i++) {
            int scale = (int)(check_random(&state) % 9);
            lowest = scale < lowest ? scale : lowest;
            parts[i] = new_hist(scale);
        }
        fill_wild(values, VALUES, &state, 0);
        for (int i = 0; i < VALUES; i++)
            add(&parts[check_random(&state) % PARTS], values[i], 1);
        obs_loghist_t whole = new_hist(lowest);
        CHECK_OK(obs_loghist_add_many(&whole, values, VALUES));
        for (int left = PARTS; left > 1; left--) { /* a random binary tree of merges */
            size_t i = check_random(&state) % (size_t)left, j = check_random(&state) % (size_t)(left - 1);
            j += j >= i;
            CHECK_OK(obs_loghist_merge(&parts[i], &parts[j]));
            obs_loghist_free(&parts[j]);
            parts[j] = parts[left - 1];
        }
        check_same_counts(&parts[0], &whole);
        obs_loghist_free(&parts[0]);
        obs_loghist_free(&whole);
    }
}

static obs_loghist_t wild_hist(int scale, size_t count, uint64_t seed)
{
    obs_loghist_t hist = new_hist(scale);
    for (size_t i = 0; i < count; i++)
        add(&hist, wild_value(&seed), 1 + i % 3);
    return hist;
}

static void merging_with_itself_doubles(void)
{
    obs_loghist_t hist = wild_hist(7, 500, 3), twice = new_hist(7), copy;
    CHECK_OK(obs_loghist_copy(&hist, &copy));
    CHECK_OK(obs_loghist_merge(&twice, &hist));
    CHECK_OK(obs_loghist_merge(&twice, &hist));
    CHECK_OK(obs_loghist_merge(&hist, &hist));
    check_same_counts(&hist, &twice);
    CHECK(copy.count * 2 == hist.count);
    check_consistent(&copy);
    obs_loghist_t large = new_hist(7);
    add(&large, 5.0, UINT32_MAX);
    CHECK_OK(obs_loghist_merge(&large, &large));
    CHECK_EQ(count_at(&large.positive, obs_loghist_index(5.0, 7)), 2 * (int64_t)UINT32_MAX);
    obs_loghist_free(&hist);
    obs_loghist_free(&twice);
    obs_loghist_free(&copy);
    obs_loghist_free(&large);
}

static void lowering_the_scale_is_exact(void)
{
    for (int from = 0; from <= 8; from++)
        for (int to = 0; to <= from; to++) {
            obs_loghist_t hist = wild_hist(from, 400, 5), direct = wild_hist(to, 400, 5);
            CHECK_OK(obs_loghist_downscale(&hist, to));
            check_same(&hist, &direct);
            obs_loghist_free(&hist);
            obs_loghist_free(&direct);
        }
}

static void walking_starts_anywhere(void)
{
    obs_loghist_t hist = new_hist(6);
    const int32_t occupied[] = {-70, -64, -1, 0, 63, 64, 200};
    for (size_t i = 0; i < 7; i++)
        add(&hist, obs_loghist_lower_bound(occupied[i] + 1, 6), i + 1);
    size_t next = 0;
    for (int32_t start = -300; start < 300; start++) {
        while (next < 7 && occupied[next] < start)
            next++;
        int32_t index = start;
        uint64_t count = 0;
        CHECK_EQ(obs_loghist_next(&hist.positive, &index, &count), next < 7);
        if (next < 7)
            CHECK(index == occupied[next] && count == next + 1);
    }
    int32_t index = INT32_MAX;
    uint64_t count;
    CHECK_EQ(obs_loghist_next(&hist.positive, &index, &count), 0);
    CHECK_EQ(obs_loghist_next(&hist.negative, &index, &count), 0);
    obs_loghist_free(&hist);
}

static void reset_keeps_memory_and_leaves_no_trace(void)
{
    obs_loghist_t hist = wild_hist(6, 500, 9), fresh = new_hist(6), empty = new_hist(6);
    size_t memory = obs_loghist_memory_bytes(&hist);
    obs_loghist_reset(&hist);
    check_same(&hist, &empty);
    CHECK_EQ(obs_loghist_memory_bytes(&hist), memory);
    CHECK_OK(obs_loghist_merge(&fresh, &hist)); /* pages of zeros must not travel */
    CHECK_EQ(obs_loghist_memory_bytes(&fresh), sizeof fresh);
    obs_loghist_free(&hist);
    obs_loghist_free(&fresh);
}

static void memory_follows_what_is_occupied(void)
{
    obs_loghist_t hist = new_hist(6);
    uint64_t state = 2;
    for (int i = 0; i < 10000; i++)
        add(&hist, exp(-4 + 0.7 * normal_value(&state)), 1);
    CHECK(obs_loghist_memory_bytes(&hist) < 4096);
    obs_loghist_free(&hist);
    hist = new_hist(8);
    add(&hist, 1e-300, 1);
    add(&hist, 1e300, 1);
    add(&hist, -1e-300, 1);
    add(&hist, -1e300, 1);
    CHECK(obs_loghist_memory_bytes(&hist) < 128 << 10);
    check_consistent(&hist);
    obs_loghist_free(&hist);
}

/* One operation on a copy of `before`, its N-th allocation failing for N = 1, 2, ... until it succeeds; a
 * failure must leave the copy as it was. Returns how often it failed. */
typedef int (*operation_t)(obs_loghist_t *hist, const obs_loghist_t *other);

static size_t fail_every_allocation(operation_t operation, const obs_loghist_t *before, const obs_loghist_t *other)
{
    for (size_t n = 1;; n++) {
        obs_loghist_t hist;
        CHECK_OK(obs_loghist_copy(before, &hist));
        obs_alloc_fail_at(n);
        int status = operation(&hist, other);
        obs_alloc_fail_at(0);
        if (status != OBS_OK) {
            CHECK_STATUS(status, OBS_ERR_NOMEM);
            check_same(&hist, before);
        }
        obs_loghist_free(&hist);
        if (status == OBS_OK)
            return n - 1;
    }
}

static int merge_other(obs_loghist_t *hist, const obs_loghist_t *other)
{
    return obs_loghist_merge(hist, other);
}

static int copy_and_drop(obs_loghist_t *hist, const obs_loghist_t *other)
{
    (void)other;
    obs_loghist_t copy;
    int status = obs_loghist_copy(hist, &copy);
    if (status == OBS_OK) {
        check_same(hist, &copy);
        obs_loghist_free(&copy);
    }
    return status;
}

static int lower(obs_loghist_t *hist, const obs_loghist_t *other)
{
    (void)other;
    return obs_loghist_downscale(hist, 2);
}

static int add_far_away(obs_loghist_t *hist, const obs_loghist_t *other)
{
    (void)other;
    return obs_loghist_add(hist, -1e200, UINT64_C(1) << 33);
}

static void no_allocation_failure_changes_anything(void)
{
    size_t live = obs_alloc_live();
    obs_loghist_t before = wild_hist(6, 60, 21), finer = wild_hist(7, 60, 22), coarser = wild_hist(3, 60, 23);
    obs_loghist_t huge = new_hist(6);
    add(&huge, 5.0, UINT64_C(1) << 33);
    size_t failures = fail_every_allocation(merge_other, &before, &finer);
    failures += fail_every_allocation(merge_other, &before, &coarser);
    failures += fail_every_allocation(merge_other, &before, &huge);
    failures += fail_every_allocation(copy_and_drop, &before, NULL);
    failures += fail_every_allocation(lower, &before, NULL);
    failures += fail_every_allocation(add_far_away, &before, NULL);
#ifdef OBS_ALLOC_TEST
    CHECK(failures > 30);
#endif
    obs_loghist_free(&before);
    obs_loghist_free(&finer);
    obs_loghist_free(&coarser);
    obs_loghist_free(&huge);
    CHECK_EQ(obs_alloc_live(), live);
}

/* add_many may stop in the middle: then exactly a prefix has been added. */
static void add_many_without_memory_adds_a_prefix(void)
{
    enum { VALUES = 1200 }; /* more than one block */
    static double values[VALUES];
    uint64_t state = 31;
    for (int i = 0; i < VALUES; i++)
        values[i] = (i % 3 == 0 ? -1 : 1) * exp(20 * normal_value(&state));
    size_t live = obs_alloc_live(), stopped = 0;
    for (size_t n = 1; n <= 40; n++) {
        obs_loghist_t hist = new_hist(6), prefix = new_hist(6);
        obs_alloc_fail_from(n);
        int status = obs_loghist_add_many(&hist, values, VALUES);
        obs_alloc_fail_at(0);
        CHECK_OK(obs_loghist_add_many_reference(&prefix, values, hist.count));
        check_same_counts(&hist, &prefix);
        CHECK(status == OBS_OK ? hist.count == VALUES : hist.count < VALUES);
        stopped += status != OBS_OK;
        obs_loghist_free(&hist);
        obs_loghist_free(&prefix);
    }
#ifdef OBS_ALLOC_TEST
    CHECK(stopped > 10);
#endif
    CHECK_EQ(obs_alloc_live(), live);
}

int main(void)
{
    RUN(special_values_have_their_own_places);
    RUN(flushing_subnormals_changes_nothing);
    RUN(scales_out_of_range_are_refused);
    RUN(totals_never_overflow);
    RUN(add_many_equals_the_reference);
    RUN(sums_agree_within_rounding);
    RUN(counters_widen_beyond_32_bits);
    RUN(wide_counters_reset_and_merge_into_narrow_ones);
    RUN(merging_is_free_of_order);
    RUN(merging_with_itself_doubles);
    RUN(lowering_the_scale_is_exact);
    RUN(walking_starts_anywhere);
    RUN(reset_keeps_memory_and_leaves_no_trace);
    RUN(memory_follows_what_is_occupied);
    RUN(no_allocation_failure_changes_anything);
    RUN(add_many_without_memory_adds_a_prefix);
    return 0;
}

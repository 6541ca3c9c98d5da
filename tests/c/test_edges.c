// kernels: edges obs
#include <float.h>
#include <math.h>
#include <string.h>

#include "alloc_seam.h"
#include "distributions.h"
#include "edges.h"

#define MANY 20000

static double values[MANY];

static obs_cuts_t cuts_of(const double *from, uint32_t count)
{
    obs_cuts_t cuts;
    CHECK_OK(obs_cuts_init(&cuts, from, count));
    return cuts;
}

static obs_edges_t edges_of(uint32_t bin_count)
{
    obs_edges_t edges;
    CHECK_OK(obs_edges_init(&edges, bin_count));
    return edges;
}

/* The rule of numpy.histogram, read off the cuts as they were given: the oracle. */
static uint32_t bin_by_rule(const double *cuts, uint32_t cut_count, double value)
{
    if (value == cuts[cut_count - 1])
        return cut_count - 1;
    uint32_t bin = 0;
    while (bin < cut_count && cuts[bin] <= value)
        bin++;
    return bin;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Ascending cuts at quantiles of a distribution, ties folded; returns how many, 0 if fewer than two are left. */
static uint32_t quantile_cuts(const struct distribution *distribution, uint32_t wanted, double *cuts)
{
    static double sorted[2000];
    fill_from(sorted, COUNT_OF(sorted), distribution, 41);
    qsort(sorted, COUNT_OF(sorted), sizeof *sorted, compare_doubles);
    uint32_t count = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        double cut = sorted[i * (COUNT_OF(sorted) - 1) / (wanted - 1)];
        if (count == 0 || cuts[count - 1] < cut)
            cuts[count++] = cut;
    }
    return count < 2 ? 0 : count;
}

static void check_neighbours(const obs_cuts_t *cuts, const double *given)
{
    for (uint32_t i = 0; i < cuts->cut_count; i++) {
        const double near[] = {
            given[i],    nextafter(given[i], -INFINITY), nextafter(given[i], INFINITY), -given[i], given[i] / 2,
            given[i] * 2};
        for (size_t j = 0; j < COUNT_OF(near); j++)
            if (isfinite(near[j]))
                CHECK_EQ(obs_cuts_bin(cuts, near[j]), bin_by_rule(given, cuts->cut_count, near[j]));
    }
    const double others[] = {0.0, -0.0, 5e-324, -5e-324, DBL_MIN, DBL_MAX, -DBL_MAX, 1, -1};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        CHECK_EQ(obs_cuts_bin(cuts, others[i]), bin_by_rule(given, cuts->cut_count, others[i]));
}

/* Counts as by the rule, sums as far as rounding allows; the fast and the plain way. */
static void check_counts(const obs_cuts_t *cuts, const double *given, size_t count)
{
    uint64_t expected[OBS_EDGES_MAX_BINS] = {0};
    double sums[OBS_EDGES_MAX_BINS] = {0}, magnitudes[OBS_EDGES_MAX_BINS] = {0};
    obs_edges_t edges = edges_of(cuts->cut_count + 1), plain = edges_of(cuts->cut_count + 1);
    CHECK_OK(obs_edges_add_many(&edges, cuts, values, count));
    CHECK_OK(obs_edges_add_many_reference(&plain, cuts, values, count));
    for (size_t i = 0; i < count; i++) {
        uint32_t bin = bin_by_rule(given, cuts->cut_count, values[i]);
        expected[bin]++;
        sums[bin] += values[i];
        magnitudes[bin] += fabs(values[i]);
    }
    for (uint32_t bin = 0; bin < edges.bin_count; bin++) {
        CHECK_EQ(edges.counts[bin], expected[bin]);
        CHECK_EQ(plain.counts[bin], expected[bin]);
        CHECK(fabs(edges.sums[bin] - sums[bin]) <= 1e-13 * magnitudes[bin]);
        CHECK(plain.sums[bin] == sums[bin]);
    }
    CHECK_EQ(edges.total, count);
    obs_edges_free(&edges);
    obs_edges_free(&plain);
}

static void test_distributions_by_cuts_by_sizes(void)
{
    static const uint32_t CUTS[] = {2, 3, 11, 65, 129, 256};
    static const size_t SIZES[] = {0, 1, 7, 255, 256, 257, 3000};
    double given[OBS_EDGES_MAX_CUTS];
    for (size_t d = 0; d < COUNT_OF(DISTRIBUTIONS); d++)
        for (size_t c = 0; c < COUNT_OF(CUTS); c++) {
            uint32_t cut_count = quantile_cuts(&DISTRIBUTIONS[d], CUTS[c], given);
            if (cut_count == 0)
                continue;
            obs_cuts_t cuts = cuts_of(given, cut_count);
            CHECK(memcmp(cuts.cuts, given, cut_count * sizeof *given) == 0);
            CHECK(obs_cuts_memory_bytes(&cuts) < 16384);
            check_neighbours(&cuts, given);
            for (size_t s = 0; s < COUNT_OF(SIZES); s++) {
                fill_from(values, SIZES[s], &DISTRIBUTIONS[d], 100 + s);
                check_counts(&cuts, given, SIZES[s]);
            }
            obs_cuts_free(&cuts);
        }
}

/* Where a table can do little or a difference overflows. */
static void test_awkward_cuts(void)
{
    static const struct {
        uint32_t count;
        double cuts[8];
    } AWKWARD[] = {
        {2, {-DBL_MAX, DBL_MAX}},
        {3, {-DBL_MAX, 0, DBL_MAX}},
        {2, {0, 5e-324}},
        {3, {-5e-324, 0, 5e-324}},
        {4, {0, 1e-300, 1, 1e300}},
        {8, {-1e300, -1, -1e-300, 0, 1e-300, 1, 1e300, DBL_MAX}},
        {3, {1, 1 + DBL_EPSILON, 1 + 2 * DBL_EPSILON}},
        {4, {0, 1, 1 + DBL_EPSILON, 1e300}},
        {2, {-DBL_MAX, -1e308}},
        {3, {-0.0, DBL_MIN, 2 * DBL_MIN}},
    };
    for (size_t i = 0; i < COUNT_OF(AWKWARD); i++) {
        obs_cuts_t cuts = cuts_of(AWKWARD[i].cuts, AWKWARD[i].count);
        check_neighbours(&cuts, AWKWARD[i].cuts);
        fill_from(values, 500, &DISTRIBUTIONS[4], i);
        check_counts(&cuts, AWKWARD[i].cuts, 500);
        obs_cuts_free(&cuts);
    }
}

/* All but two cuts in one cell, whatever the cells are. */
static void test_crowded_cuts(void)
{
    double given[OBS_EDGES_MAX_CUTS] = {-1e300};
    given[1] = 1;
    for (uint32_t i = 2; i < OBS_EDGES_MAX_CUTS - 1; i++)
        given[i] = nextafter(given[i - 1], 2);
    given[OBS_EDGES_MAX_CUTS - 1] = 1e300;
    obs_cuts_t cuts = cuts_of(given, OBS_EDGES_MAX_CUTS);
    CHECK(cuts.steps >= 8);
    check_neighbours(&cuts, given);
    for (size_t i = 0; i < 1000; i++)
        values[i] = 1 + (double)i / 3 * DBL_EPSILON;
    check_counts(&cuts, given, 1000);
    obs_cuts_free(&cuts);
}

static void test_refuses_bad_cuts(void)
{
    obs_cuts_t cuts;
    double many[OBS_EDGES_MAX_CUTS + 1];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = (double)i;
    CHECK_STATUS(obs_cuts_init(&cuts, many, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_cuts_init(&cuts, many, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_cuts_init(&cuts, many, COUNT_OF(many)), OBS_ERR_RANGE);
    const double wrong[][3] = {{0, 0, 1},   {0, -0.0, 1},     {1, 0, 2},        {0, NAN, 1},
                               {NAN, 0, 1}, {0, 1, INFINITY}, {-INFINITY, 0, 1}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK_STATUS(obs_cuts_init(&cuts, wrong[i], 3), OBS_ERR_RANGE);
    obs_edges_t edges;
    CHECK_STATUS(obs_edges_init(&edges, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_edges_init(&edges, OBS_EDGES_MAX_BINS + 1), OBS_ERR_RANGE);
}

static void test_the_last_bin_is_closed(void)
{
    obs_cuts_t cuts = cuts_of((const double[]){0, 1, 2}, 3);
    const double given[] = {-0.5, -0.0, 0, 0.5, 1, 1.5, 2, nextafter(2, 3), 3};
    const uint32_t bins[] = {0, 1, 1, 1, 2, 2, 2, 3, 3};
    for (size_t i = 0; i < COUNT_OF(given); i++)
        CHECK_EQ(obs_cuts_bin(&cuts, given[i]), bins[i]);
    obs_cuts_free(&cuts);
}

static void test_what_is_not_finite_is_in_no_bin(void)
{
    obs_cuts_t cuts = cuts_of((const double[]){0, 1, 2}, 3);
    obs_edges_t edges = edges_of(4);
    const double odd[] = {NAN, INFINITY, -INFINITY, -NAN, 0.5, NAN};
    CHECK_OK(obs_edges_add_many(&edges, &cuts, odd, COUNT_OF(odd)));
    CHECK_OK(obs_edges_add_many(&edges, &cuts, odd, 1));
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        CHECK_OK(obs_edges_add(&edges, &cuts, odd[i], 3));
    CHECK_EQ(edges.total, 4);
    CHECK_EQ(edges.counts[1], 4);
    CHECK(edges.sums[0] == 0 && edges.sums[1] == 2 && edges.sums[2] == 0 && edges.sums[3] == 0);
    obs_edges_free(&edges);
    obs_cuts_free(&cuts);
}

static void test_merging_is_exact_in_any_order(void)
{
    obs_cuts_t cuts = cuts_of((const double[]){-2, -1, 0, 1, 2}, 5);
    obs_edges_t all = edges_of(6), forwards = edges_of(6), backwards = edges_of(6), parts[10];
    fill_from(values, MANY, &DISTRIBUTIONS[6], 3); /* whole numbers: their sums are exact too */
    CHECK_OK(obs_edges_add_many(&all, &cuts, values, MANY));
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        parts[i] = edges_of(6);
        CHECK_OK(obs_edges_add_many(&parts[i], &cuts, values + i * MANY / 10, MANY / 10));
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        CHECK_OK(obs_edges_merge(&forwards, &parts[i]));
        CHECK_OK(obs_edges_merge(&backwards, &parts[COUNT_OF(parts) - 1 - i]));
    }
    for (uint32_t bin = 0; bin < 6; bin++) {
        CHECK(all.counts[bin] == forwards.counts[bin] && all.counts[bin] == backwards.counts[bin]);
        CHECK(all.sums[bin] == forwards.sums[bin] && all.sums[bin] == backwards.sums[bin]);
    }
    CHECK_OK(obs_edges_merge(&all, &all));
    CHECK_EQ(all.total, 2 * MANY);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        obs_edges_free(&parts[i]);
    obs_edges_free(&all);
    obs_edges_free(&forwards);
    obs_edges_free(&backwards);
    obs_cuts_free(&cuts);
}

static void test_categories(void)
{
    obs_edges_t edges = edges_of(3), other = edges_of(4);
    CHECK_OK(obs_edges_add_bin(&edges, 0, 5));
    CHECK_OK(obs_edges_add_bin(&edges, 2, 1));
    CHECK_STATUS(obs_edges_add_bin(&edges, 3, 1), OBS_ERR_RANGE);
    CHECK(edges.counts[0] == 5 && edges.counts[1] == 0 && edges.counts[2] == 1 && edges.total == 6);
    CHECK_STATUS(obs_edges_merge(&edges, &other), OBS_ERR_STATE);
    obs_cuts_t cuts = cuts_of((const double[]){0, 1, 2}, 3);
    CHECK_STATUS(obs_edges_add(&edges, &cuts, 1, 1), OBS_ERR_STATE);
    CHECK_STATUS(obs_edges_add_many(&edges, &cuts, values, 1), OBS_ERR_STATE);
    obs_edges_reset(&edges);
    CHECK(edges.total == 0 && edges.counts[0] == 0 && edges.counts[2] == 0);
    obs_edges_free(&edges);
    obs_edges_free(&other);
    obs_cuts_free(&cuts);
}

static void test_refuses_two_to_the_64_samples(void)
{
    obs_cuts_t cuts = cuts_of((const double[]){0, 1}, 2);
    obs_edges_t edges = edges_of(3), one = edges_of(3);
    CHECK_OK(obs_edges_add_bin(&edges, 0, UINT64_MAX));
    CHECK_OK(obs_edges_add_bin(&one, 0, 1));
    CHECK_STATUS(obs_edges_add_bin(&edges, 1, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_edges_add(&edges, &cuts, 0.5, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_edges_add_many(&edges, &cuts, values, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_edges_merge(&edges, &one), OBS_ERR_RANGE);
    CHECK(edges.counts[1] == 0 && edges.total == UINT64_MAX);
    obs_edges_free(&edges);
    obs_edges_free(&one);
    obs_cuts_free(&cuts);
}

static void test_values_may_be_unaligned(void)
{
    static char bytes[1001 * sizeof(double)];
    obs_cuts_t cuts = cuts_of((const double[]){-1, 0, 1}, 3);
    obs_edges_t aligned = edges_of(4), unaligned = edges_of(4);
    fill_from(values, 1000, &DISTRIBUTIONS[1], 3);
    memcpy(bytes + 1, values, 1000 * sizeof *values);
    CHECK_OK(obs_edges_add_many(&aligned, &cuts, values, 1000));
    CHECK_OK(obs_edges_add_many(&unaligned, &cuts, (const double *)(const void *)(bytes + 1), 1000));
    CHECK(memcmp(aligned.counts, unaligned.counts, 4 * sizeof *aligned.counts) == 0);
    CHECK(memcmp(aligned.sums, unaligned.sums, 4 * sizeof *aligned.sums) == 0);
    obs_edges_free(&aligned);
    obs_edges_free(&unaligned);
    obs_cuts_free(&cuts);
}

static int make_and_copy(void)
{
    obs_cuts_t cuts;
    obs_edges_t edges, copy;
    int status = obs_cuts_init(&cuts, (const double[]){0, 1, 10}, 3);
    if (status != OBS_OK)
        return status;
    status = obs_edges_init(&edges, 4);
    if (status == OBS_OK) {
        CHECK_OK(obs_edges_add(&edges, &cuts, 5, 2));
        status = obs_edges_copy(&edges, &copy);
        obs_edges_free(&edges);
    }
    if (status == OBS_OK) {
        CHECK(copy.counts[2] == 2 && copy.sums[2] == 10 && copy.total == 2);
        CHECK_EQ(obs_edges_memory_bytes(&copy), sizeof copy + 5 * 16);
        obs_edges_free(&copy);
        obs_edges_free(&copy);
    }
    obs_cuts_free(&cuts);
    obs_cuts_free(&cuts);
    return status;
}

static void test_survives_failed_allocations(void)
{
    for (size_t n = 1;; n++) {
        obs_alloc_fail_at(n);
        int status = make_and_copy();
        obs_alloc_fail_at(0);
        CHECK_EQ(obs_alloc_live(), 0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
}

int main(void)
{
    RUN(test_distributions_by_cuts_by_sizes);
    RUN(test_awkward_cuts);
    RUN(test_crowded_cuts);
    RUN(test_refuses_bad_cuts);
    RUN(test_the_last_bin_is_closed);
    RUN(test_what_is_not_finite_is_in_no_bin);
    RUN(test_merging_is_exact_in_any_order);
    RUN(test_categories);
    RUN(test_refuses_two_to_the_64_samples);
    RUN(test_values_may_be_unaligned);
    RUN(test_survives_failed_allocations);
    return 0;
}

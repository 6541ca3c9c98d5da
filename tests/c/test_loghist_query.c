// kernels: loghist obs
/* Quantiles and shares against a sorted array. */
#include "loghist_check.h"

enum { VALUES = 2000 };

typedef double (*distribution_t)(uint64_t *state);

static double lognormal(uint64_t *state)
{
    return exp(-4 + 0.7 * normal_value(state));
}

static double both_signs(uint64_t *state)
{
    return normal_value(state);
}

static double negative_pareto(uint64_t *state)
{
    return -pow(1 - check_random_unit(state), -1.5);
}

static double with_zeros(uint64_t *state)
{
    return check_random(state) % 3 == 0 ? 0 : normal_value(state);
}

static double whole_range(uint64_t *state)
{
    double value = double_of(check_random(state));
    return isfinite(value) ? value : 0;
}

static double subnormal(uint64_t *state)
{
    return double_of(check_random(state) % 5000);
}

static double two_values(uint64_t *state)
{
    return check_random(state) % 10 == 0 ? 0.5 : 0.01;
}

static const distribution_t DISTRIBUTIONS[] = {lognormal,   both_signs, negative_pareto, with_zeros,
                                               whole_range, subnormal,  two_values};
enum { DISTRIBUTION_COUNT = sizeof DISTRIBUTIONS / sizeof DISTRIBUTIONS[0] };

static const double QUANTILES[] = {0,    0x1p-1074, 1e-9, 0.001, 0.01,  0.05,   0.1,      0.25, 0.5,
                                   0.75, 0.9,       0.95, 0.99,  0.999, 0.9999, 0.999999, 1};
enum { QUANTILE_COUNT = sizeof QUANTILES / sizeof QUANTILES[0] };

static int ascending(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static obs_loghist_t draw(distribution_t distribution, int scale, size_t count, uint64_t seed, double *sorted)
{
    obs_loghist_t hist = new_hist(scale);
    for (size_t i = 0; i < count; i++)
        sorted[i] = distribution(&seed);
    CHECK_OK(obs_loghist_add_many(&hist, sorted, count));
    qsort(sorted, count, sizeof sorted[0], ascending);
    return hist;
}

static double quantile(const obs_loghist_t *hist, double q, int interpolate)
{
    double value = -1;
    CHECK_OK(obs_loghist_quantile(hist, q, interpolate, &value));
    return value;
}

static double nearest_rank(const double *sorted, size_t count, double q)
{
    size_t rank = (size_t)ceil(q * (double)count);
    return sorted[rank == 0 ? 0 : rank - 1];
}

/* Relative, but never finer than the format: half the distance between subnormal neighbours. */
static void check_within(double found, double expected, double relative)
{
    double allowed = relative * fabs(expected) * (1 + 1e-12) + 0x1p-1074;
    if (!(fabs(found - expected) <= allowed))
        CHECK_FAILED("found %.17g, expected %.17g within %g", found, expected, relative);
}

static void quantiles_keep_their_promise(void)
{
    static double sorted[VALUES];
    const size_t counts[] = {1, 2, 3, 10, 101, VALUES};
    for (int d = 0; d < DISTRIBUTION_COUNT; d++)
        for (int scale = 0; scale <= 8; scale++)
            for (size_t c = 0; c < 6; c++) {
                obs_loghist_t hist = draw(DISTRIBUTIONS[d], scale, counts[c], 100 + c, sorted);
                double gamma_minus_one = obs_loghist_lower_bound(1, scale) - 1;
                for (int i = 0; i < QUANTILE_COUNT; i++) {
                    double q = QUANTILES[i], expected = nearest_rank(sorted, counts[c], q);
                    check_within(quantile(&hist, q, 0), expected, obs_loghist_relative_error(scale));
                    check_within(quantile(&hist, q, 1), expected, gamma_minus_one);
                }
                CHECK(quantile(&hist, 0, 0) == sorted[0]);
                CHECK(quantile(&hist, 1, 0) == sorted[counts[c] - 1]);
                obs_loghist_free(&hist);
            }
}

static void quantiles_ascend(void)
{
    static double sorted[VALUES];
    for (int d = 0; d < DISTRIBUTION_COUNT; d++)
        for (int interpolate = 0; interpolate <= 1; interpolate++) {
            obs_loghist_t hist = draw(DISTRIBUTIONS[d], 4, VALUES, 5, sorted);
            double previous = -INFINITY;
            for (int i = 0; i <= 1000; i++) {
                double value = quantile(&hist, i / 1000.0, interpolate);
                CHECK(value >= previous && value >= hist.min && value <= hist.max);
                previous = value;
            }
            obs_loghist_free(&hist);
        }
}

/* A bucket's answer lies at the same relative distance from both of its bounds; interpolation moves on a
 * logarithmic scale: a quarter of the way through (1, 2] is 2^(1/4). */
static void answers_have_the_published_form(void)
{
    obs_loghist_t hist = new_hist(0);
    CHECK_OK(obs_loghist_add(&hist, 1.001, 1)); /* min and max far from the answers */
    CHECK_OK(obs_loghist_add(&hist, 1.5, 2));
    CHECK_OK(obs_loghist_add(&hist, 1.999, 1));
    CHECK_NEAR(quantile(&hist, 0.5, 0), 2 * 1.0 * 2.0 / 3.0, 1e-15);
    CHECK_NEAR(quantile(&hist, 0.25, 1), exp2(0.25), 1e-15);
    CHECK_NEAR(quantile(&hist, 0.5, 1), exp2(0.5), 1e-15);
    obs_loghist_free(&hist);

    hist = new_hist(0); /* negative: ranks ascend from -2 to -1 */
    CHECK_OK(obs_loghist_add(&hist, -1.001, 1));
    CHECK_OK(obs_loghist_add(&hist, -1.5, 2));
    CHECK_OK(obs_loghist_add(&hist, -1.999, 1));
    CHECK_NEAR(quantile(&hist, 0.5, 0), -4.0 / 3.0, 1e-15);
    CHECK_NEAR(quantile(&hist, 0.25, 1), -exp2(0.75), 1e-15);
    CHECK_OK(obs_loghist_add(&hist, -2.001, 2)); /* a bucket further out: -4 to -2 */
    CHECK_OK(obs_loghist_add(&hist, -3.999, 2));
    CHECK_NEAR(quantile(&hist, 0.125, 1), -exp2(1.75), 1e-15);
    CHECK_NEAR(quantile(&hist, 0.75, 1), -exp2(0.5), 1e-15);
    CHECK_NEAR(quantile(&hist, 0.25, 0), -8.0 / 3.0, 1e-15);
    CHECK_OK(obs_loghist_add(&hist, 0.0, 8));
    CHECK(quantile(&hist, 0.75, 0) == 0);
    CHECK(quantile(&hist, 0.75, 1) == 0);
    obs_loghist_free(&hist);
}

static void non_finite_values_have_no_rank(void)
{
    obs_loghist_t hist = new_hist(6);
    double value = 7;
    CHECK_OK(obs_loghist_add(&hist, INFINITY, 100));
    CHECK_OK(obs_loghist_add(&hist, NAN, 100));
    CHECK(isnan(quantile(&hist, 0.5, 0)) && isnan(obs_loghist_cdf(&hist, 1)));
    CHECK_OK(obs_loghist_add(&hist, 3.0, 1));
    CHECK(quantile(&hist, 0.999, 0) == 3.0);
    CHECK(obs_loghist_cdf(&hist, 3.0) == 1);
    CHECK_STATUS(obs_loghist_quantile(&hist, -0x1p-1074, 0, &value), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_quantile(&hist, nextafter(1, 2), 0, &value), OBS_ERR_RANGE);
    CHECK_STATUS(obs_loghist_quantile(&hist, NAN, 0, &value), OBS_ERR_RANGE);
    CHECK(value == 7);
    obs_loghist_free(&hist);
}

static void counts_beyond_the_precision_of_doubles(void)
{
    obs_loghist_t hist = new_hist(6);
    CHECK_OK(obs_loghist_add(&hist, 1.0, UINT64_MAX - 1));
    CHECK_OK(obs_loghist_add(&hist, 8.0, 1));
    CHECK_NEAR(quantile(&hist, 0.5, 0), 1.0, 0.006);
    CHECK_NEAR(quantile(&hist, nextafter(1, 0), 0), 1.0, 0.006);
    CHECK(quantile(&hist, 1, 0) == 8.0);
    obs_loghist_free(&hist);
}

static size_t values_up_to(const double *sorted, size_t count, double x)
{
    size_t found = 0;
    while (found < count && sorted[found] <= x)
        found++;
    return found;
}

static void shares_are_exact_at_bounds(void)
{
    static double sorted[VALUES];
    for (int d = 0; d < DISTRIBUTION_COUNT; d++) {
        if (DISTRIBUTIONS[d] == subnormal)
            continue; /* bounds closer together than doubles */
        for (int scale = 0; scale <= 8; scale += 4) {
            obs_loghist_t hist = draw(DISTRIBUTIONS[d], scale, VALUES, 9, sorted);
            int32_t index = INT32_MIN;
            uint64_t count;
            for (; obs_loghist_next(&hist.positive, &index, &count); index++) {
                double bound = obs_loghist_lower_bound(index + 1, scale);
                CHECK(obs_loghist_cdf(&hist, bound) == (double)values_up_to(sorted, VALUES, bound) / VALUES);
            }
            for (index = INT32_MIN; obs_loghist_next(&hist.negative, &index, &count); index++) {
                double inner = nextafter(-obs_loghist_lower_bound(index, scale), -INFINITY); /* the last value in it */
                double expected = (double)values_up_to(sorted, VALUES, inner) / VALUES;
                CHECK(fabs(obs_loghist_cdf(&hist, inner) - expected) <= 1e-9);
            }
            obs_loghist_free(&hist);
        }
    }
}

static void shares_ascend_from_0_to_1(void)
{
    static double sorted[VALUES];
    for (int d = 0; d < DISTRIBUTION_COUNT; d++) {
        obs_loghist_t hist = draw(DISTRIBUTIONS[d], 2, VALUES, 12, sorted);
        CHECK(obs_loghist_cdf(&hist, -INFINITY) == 0);
        CHECK(obs_loghist_cdf(&hist, INFINITY) == 1);
        CHECK(obs_loghist_cdf(&hist, hist.max) == 1);
        CHECK(isnan(obs_loghist_cdf(&hist, NAN)));
        double previous = 0;
        for (size_t i = 0; i < VALUES; i++) {
            double share = obs_loghist_cdf(&hist, sorted[i]);
            CHECK(share >= previous && share <= 1);
            previous = share;
        }
        CHECK(bits_of(obs_loghist_cdf(&hist, 0.0)) == bits_of(obs_loghist_cdf(&hist, -0.0)));
        obs_loghist_free(&hist);
    }
    obs_loghist_t zeros = new_hist(6);
    CHECK_OK(obs_loghist_add(&zeros, 0.0, 3));
    CHECK(obs_loghist_cdf(&zeros, -0.0) == 1 && obs_loghist_cdf(&zeros, -0x1p-1074) == 0);
}

/* Inside a bucket a share moves on a logarithmic scale. */
static void shares_interpolate(void)
{
    obs_loghist_t hist = new_hist(0);
    CHECK_OK(obs_loghist_add(&hist, 0.6, 1));
    CHECK_OK(obs_loghist_add(&hist, 1.5, 2));
    CHECK_OK(obs_loghist_add(&hist, 3.9, 1));
    CHECK_NEAR(obs_loghist_cdf(&hist, sqrt(2)), 0.25 + 0.5 * 0.5, 1e-12);
    CHECK_NEAR(obs_loghist_cdf(&hist, exp2(1.25)), 0.75 + 0.25 * 0.25, 1e-12);
    obs_loghist_free(&hist);
    hist = new_hist(0);
    CHECK_OK(obs_loghist_add(&hist, -0.6, 1));
    CHECK_OK(obs_loghist_add(&hist, -1.5, 2));
    CHECK_OK(obs_loghist_add(&hist, -3.9, 1));
    CHECK_NEAR(obs_loghist_cdf(&hist, -exp2(0.25)), 0.25 + 0.5 * 0.75, 1e-12);
    obs_loghist_free(&hist);
}

/* As a double the count is 2^64: ranks must not be taken from that. */
static void counts_of_64_bits_have_ranks(void)
{
    obs_loghist_t hist = new_hist(6);
    double value;
    CHECK_OK(obs_loghist_add(&hist, 1.5, UINT64_MAX - 1));
    CHECK_OK(obs_loghist_add(&hist, 3.0, 1));
    for (double q = 0.25; q < 1; q = (1 + q) / 2) {
        CHECK_OK(obs_loghist_quantile(&hist, q, 0, &value));
        CHECK_NEAR(value, 1.5, 0.01);
    }
    CHECK(obs_loghist_rank_error(&hist, 1, 3.0) < 1e-9);
    obs_loghist_free(&hist);
}

int main(void)
{
    RUN(quantiles_keep_their_promise);
    RUN(quantiles_ascend);
    RUN(answers_have_the_published_form);
    RUN(non_finite_values_have_no_rank);
    RUN(counts_beyond_the_precision_of_doubles);
    RUN(shares_are_exact_at_bounds);
    RUN(shares_ascend_from_0_to_1);
    RUN(shares_interpolate);
    RUN(counts_of_64_bits_have_ranks);
    return 0;
}

// kernels: column edges hll loghist moments topk obs
#include "column.h"

#include "alloc_seam.h"
#include "check.h"
#include "columns.h"
#include "hostile.h"

typedef struct {
    uint8_t *bytes;
    size_t size;
} encoded_t;

static encoded_t encode(const sided_t *sided)
{
    size_t bound = obs_column_encoded_bound(&sided->hist, &sided->column);
    encoded_t encoded = {malloc(bound), 0};
    CHECK(encoded.bytes != NULL);
    CHECK_STATUS(obs_column_encode(&sided->hist, &sided->column, encoded.bytes, bound - 1, &encoded.size),
                 OBS_ERR_FULL);
    CHECK_OK(obs_column_encode(&sided->hist, &sided->column, encoded.bytes, bound, &encoded.size));
    uint64_t samples;
    CHECK_OK(obs_column_check(encoded.bytes, encoded.size, &samples));
    CHECK_EQ(samples, sided_samples(sided));
    return encoded;
}

static int same(const sided_t *left, const sided_t *right)
{
    encoded_t one = encode(left), other = encode(right);
    int is_same = one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0;
    free(one.bytes);
    free(other.bytes);
    return is_same;
}

/* Counts, without the moments' means, which are right within rounding. */
static void check_counts(const sided_t *left, const sided_t *right)
{
    const obs_moments_t *one = &left->column.moments, *other = &right->column.moments;
    CHECK_EQ(sided_samples(left), sided_samples(right));
    CHECK(one->count == other->count && one->null_count == other->null_count &&
          one->wrong_type_count == other->wrong_type_count && one->min == other->min && one->max == other->max);
    CHECK_EQ(left->column.category_count, right->column.category_count);
    CHECK_EQ(left->column.given_up, right->column.given_up);
    const obs_edges_t *edges = left->column.edges, *others = right->column.edges;
    CHECK((edges == NULL) == (others == NULL));
    CHECK(edges == NULL || edges->bin_count == others->bin_count);
    for (uint32_t bin = 0; edges != NULL && bin < edges->bin_count; bin++)
        CHECK(edges->counts[bin] == others->counts[bin] && edges->sums[bin] == others->sums[bin]);
    CHECK((left->column.hll == NULL) == (right->column.hll == NULL));
    for (uint32_t i = 0; left->column.hll != NULL && i < 1u << OBS_HLL_DEFAULT_P; i++)
        CHECK_EQ(obs_hll_register(left->column.hll, i), obs_hll_register(right->column.hll, i));
}

static void counts_each_value_where_it_belongs(void)
{
    sided_t sided;
    obs_cuts_t cuts = ten_bins();
    sided_init(&sided);
    const double values[] = {-3, 0, 0.5, 9.5, 10, 11, (double)NAN, (double)INFINITY, (double)-INFINITY};
    sided_add(&sided, &cuts, values, 9);
    CHECK_OK(obs_column_add_nulls(&sided.column, 5));
    CHECK_OK(obs_column_add_wrong_types(&sided.column, 2));
    CHECK_EQ(sided_samples(&sided), 16);
    const obs_edges_t *edges = sided.column.edges;
    CHECK(edges != NULL && edges->bin_count == 12 && edges->total == 6);
    CHECK(edges->counts[0] == 1 && edges->counts[1] == 2 && edges->counts[10] == 2 && edges->counts[11] == 1);
    CHECK(sided.column.moments.nan_count == 1 && sided.column.moments.null_count == 5);
    CHECK_NEAR(obs_hll_count(sided.column.hll), 9, 0.01);
    CHECK(sided.column.topk == NULL && sided.column.given_up == 0);
    sided_free(&sided);

    sided_init(&sided);
    obs_category_t known = category("DE", 0), unseen = category("XX", 2);
    const obs_category_t hashed = {.bin = 2, .hash = 1234567};
    CHECK_OK(obs_column_add_category(&sided.column, &known, 3, 7));
    CHECK_OK(obs_column_add_category(&sided.column, &unseen, 3, 2));
    CHECK_OK(obs_column_add_category(&sided.column, &hashed, 3, 1));
    CHECK_OK(obs_column_add_category(&sided.column, &known, 3, 0));
    CHECK_EQ(sided_samples(&sided), 10);
    CHECK(sided.column.edges->counts[0] == 7 && sided.column.edges->counts[1] == 0 &&
          sided.column.edges->counts[2] == 3);
    obs_topk_item_t items[OBS_COLUMN_TOP];
    CHECK_EQ(obs_topk_list(sided.column.topk, items), 2);
    CHECK(items[0].key_size == 2 && memcmp(items[0].key, "DE", 2) == 0 && items[0].count == 7);
    CHECK(sided.column.topk->total == 10 && sided.column.topk->other == 1);
    CHECK_NEAR(obs_hll_count(sided.column.hll), 3, 0.01);
    sided_free(&sided);
    obs_cuts_free(&cuts);
}

/* A column of nothing but nulls, or of nothing at all, has no parts. */
static void what_is_empty_takes_few_bytes(void)
{
    sided_t sided;
    sided_init(&sided);
    CHECK_EQ(obs_column_heap_bytes(&sided.column), 0);
    encoded_t encoded = encode(&sided);
    CHECK(encoded.size < 32);
    free(encoded.bytes);
    CHECK_OK(obs_column_add_nulls(&sided.column, 1000000));
    encoded = encode(&sided);
    CHECK(encoded.size < 40);
    free(encoded.bytes);
    sided_free(&sided);
}

static void merge(sided_t *into, const sided_t *from)
{
    CHECK_OK(obs_loghist_merge(&into->hist, &from->hist));
    CHECK_OK(obs_column_merge(&into->column, &from->column));
}

static void merge_encoded(sided_t *into, const sided_t *from)
{
    encoded_t encoded = encode(from);
    CHECK_OK(obs_column_merge_encoded(&into->hist, &into->column, encoded.bytes, encoded.size));
    free(encoded.bytes);
}

enum { PARTS = 12 };

/* Any order, any tree, encoded or not: the same counts as all at once. */
static void merging_is_free_of_order(void)
{
    obs_cuts_t cuts = ten_bins();
    sided_t parts[PARTS], whole, ahead, back, tree;
    sided_init(&whole);
    sided_init(&ahead);
    sided_init(&back);
    sided_init(&tree);
    for (uint64_t i = 0; i < PARTS; i++) {
        sided_init(&parts[i]);
        fill_numbers(&parts[i], &cuts, i, 40 * i);
        fill_numbers(&whole, &cuts, i, 40 * i);
    }
    for (int i = 0; i < PARTS; i++) {
        merge(&ahead, &parts[i]);
        merge_encoded(&back, &parts[PARTS - 1 - i]);
    }
    for (int i = 0; i < PARTS; i += 2) {
        merge_encoded(&parts[i], &parts[i + 1]);
        merge(&tree, &parts[i]);
    }
    check_counts(&whole, &ahead);
    check_counts(&whole, &back);
    check_counts(&whole, &tree);
    CHECK_NEAR(ahead.column.moments.m2, whole.column.moments.m2, 1e-9);
    for (int i = 0; i < PARTS; i++)
        sided_free(&parts[i]);
    sided_free(&whole);
    sided_free(&ahead);
    sided_free(&back);
    sided_free(&tree);
    obs_cuts_free(&cuts);
}

static void categories_merge_to_the_same_bytes(void)
{
    sided_t one, other, whole, again;
    sided_init(&one);
    sided_init(&other);
    sided_init(&whole);
    sided_init(&again);
    fill_categories(&one, 1, 200);
    fill_categories(&other, 2, 300);
    fill_categories(&whole, 1, 200);
    fill_categories(&whole, 2, 300);
    merge_encoded(&again, &other);
    merge_encoded(&again, &one);
    merge(&one, &other);
    CHECK(same(&whole, &one));
    CHECK(same(&whole, &again));
    sided_free(&one);
    sided_free(&other);
    sided_free(&whole);
    sided_free(&again);
}

/* Three columns that do not fit together, merged in every order. */
static void a_part_that_missed_values_is_given_up_in_any_order(void)
{
    const double edges[] = {0, 1, 2};
    obs_cuts_t ten = ten_bins(), two;
    CHECK_OK(obs_cuts_init(&two, edges, 3));
    const obs_cuts_t *shapes[][3] = {{&ten, &ten, NULL}, {&ten, &two, &ten}, {NULL, &two, NULL}};
    const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int shape = 0; shape < 3; shape++)
        for (int order = 0; order < 6; order++) {
            sided_t all;
            sided_init(&all);
            for (int i = 0; i < 3; i++) {
                sided_t part;
                sided_init(&part);
                const double value = 1.5;
                sided_add(&part, shapes[shape][orders[order][i]], &value, 1);
                merge_encoded(&all, &part);
                sided_free(&part);
            }
            CHECK_EQ(all.column.given_up, OBS_COLUMN_EDGES);
            CHECK(all.column.edges == NULL && all.column.hll != NULL);
            CHECK_EQ(sided_samples(&all), 3);
            sided_free(&all);
        }
    obs_cuts_free(&ten);
    obs_cuts_free(&two);
}

static void who_wants_no_parts_keeps_the_counts(void)
{
    obs_cuts_t cuts = ten_bins();
    sided_t whole, bare;
    sided_init(&whole);
    sided_init(&bare);
    bare.column.given_up = OBS_COLUMN_PARTS;
    fill_numbers(&whole, &cuts, 7, 500);
    merge_encoded(&bare, &whole);
    CHECK_EQ(sided_samples(&bare), sided_samples(&whole));
    CHECK_EQ(obs_column_heap_bytes(&bare.column), 0);
    CHECK_EQ(bare.column.moments.count, whole.column.moments.count);
    merge(&whole, &bare);
    CHECK_EQ(whole.column.given_up, OBS_COLUMN_PARTS);
    sided_free(&whole);
    sided_free(&bare);
    obs_cuts_free(&cuts);
}

static void more_samples_than_64_bits_count_are_refused(void)
{
    sided_t sided, more;
    sided_init(&sided);
    sided_init(&more);
    const double value = 2;
    obs_category_t known = category("DE", 0);
    sided_add(&more, NULL, &value, 1);
    CHECK_OK(obs_column_add_nulls(&more.column, UINT64_MAX / 2));
    merge(&sided, &more);
    CHECK_OK(obs_column_add_category(&sided.column, &known, 0, UINT64_MAX / 2 - 1));
    CHECK_STATUS(obs_column_add_nulls(&sided.column, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_column_add_wrong_types(&sided.column, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_column_add_category(&sided.column, &known, 0, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_column_merge(&sided.column, &more.column), OBS_ERR_RANGE);
    encoded_t encoded = encode(&more);
    uint64_t before = sided_samples(&sided);
    CHECK_STATUS(obs_column_merge_encoded(&sided.hist, &sided.column, encoded.bytes, encoded.size), OBS_ERR_RANGE);
    CHECK(sided_samples(&sided) == before);
    free(encoded.bytes);
    sided_free(&sided);
    sided_free(&more);
}

/* Hostile bytes --------------------------------------------------------------------------------------------- */

static int read_all(const uint8_t *bytes, size_t size)
{
    uint64_t samples = 77;
    sided_t sided;
    sided_init(&sided);
    int status = obs_column_check(bytes, size, &samples);
    CHECK_STATUS(obs_column_merge_encoded(&sided.hist, &sided.column, bytes, size), status);
    CHECK(sided_samples(&sided) == (status == OBS_OK ? samples : 0));
    sided_free(&sided);
    return status;
}

static void reads_nothing_outside_of_mutilated_bytes(void)
{
    obs_cuts_t cuts = ten_bins();
    sided_t sided;
    sided_init(&sided);
    fill_numbers(&sided, &cuts, 3, 60);
    encoded_t encoded = encode(&sided);
    CHECK_EQ(hostile_truncations(read_all, encoded.bytes, encoded.size), 0);
    CHECK(hostile_flips(read_all, encoded.bytes, encoded.size, 20000, 1) < 20000);
    free(encoded.bytes);
    sided_free(&sided);
    sided_init(&sided);
    fill_categories(&sided, 4, 60);
    encoded = encode(&sided);
    CHECK_EQ(hostile_truncations(read_all, encoded.bytes, encoded.size), 0);
    CHECK(hostile_flips(read_all, encoded.bytes, encoded.size, 20000, 2) < 20000);
    free(encoded.bytes);
    sided_free(&sided);
    obs_cuts_free(&cuts);
}

/* Parts of other samples than the moments tell of, and flags that contradict. */
static void refuses_parts_that_contradict(void)
{
    obs_cuts_t cuts = ten_bins();
    const double value = 4.5;
    obs_category_t known = category("DE", 0);
    sided_t sided;
    sided_init(&sided);
    sided_add(&sided, &cuts, &value, 1);
    encoded_t encoded = encode(&sided);
    size_t flags = 1 + encoded.bytes[0];
    CHECK_EQ(encoded.bytes[flags], OBS_COLUMN_EDGES | OBS_COLUMN_HLL);
    encoded.bytes[flags] |= OBS_COLUMN_EDGES << 4;
    CHECK_STATUS(obs_column_check(encoded.bytes, encoded.size, NULL), OBS_ERR_CORRUPT);
    encoded.bytes[flags] = OBS_COLUMN_EDGES | OBS_COLUMN_HLL | 0x80;
    CHECK_STATUS(obs_column_check(encoded.bytes, encoded.size, NULL), OBS_ERR_VERSION);
    encoded.bytes[flags] = OBS_COLUMN_EDGES | OBS_COLUMN_HLL;
    encoded.bytes[flags + 1] = 1; /* a category that is in no part */
    CHECK_STATUS(obs_column_check(encoded.bytes, encoded.size, NULL), OBS_ERR_CORRUPT);
    free(encoded.bytes);

    CHECK_OK(obs_loghist_add(&sided.hist, 1, 1)); /* the moments miss it */
    size_t bound = obs_column_encoded_bound(&sided.hist, &sided.column), size;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_column_encode(&sided.hist, &sided.column, bytes, bound, &size));
    CHECK_STATUS(obs_column_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    free(bytes);
    sided_free(&sided);

    sided_init(&sided);
    CHECK_OK(obs_column_add_category(&sided.column, &known, 2, 3));
    CHECK_OK(obs_topk_add(sided.column.topk, "FR", 2, 1));
    bound = obs_column_encoded_bound(&sided.hist, &sided.column);
    bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_column_encode(&sided.hist, &sided.column, bytes, bound, &size));
    CHECK_STATUS(obs_column_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    free(bytes);
    sided_free(&sided);
    obs_cuts_free(&cuts);
}

/* Memory ---------------------------------------------------------------------------------------------------- */

/* Without memory parts are missing, and nothing else. */
static void survives_each_failed_allocation(void)
{
    obs_cuts_t cuts = ten_bins();
    sided_t from, sided;
    sided_init(&from);
    fill_categories(&from, 5, 40);
    encoded_t encoded = encode(&from);
    for (size_t n = 1;; n++) {
        sided_init(&sided);
        const double values[] = {1, 2, 3};
        CHECK_OK(obs_loghist_add_many(&sided.hist, values, 3));
        obs_alloc_fail_at(n);
        CHECK_OK(obs_column_add_many(&sided.column, &cuts, values, 3));
        int status = obs_column_merge_encoded(&sided.hist, &sided.column, encoded.bytes, encoded.size);
        int is_armed = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        CHECK(status == OBS_OK || status == OBS_ERR_NOMEM);
        CHECK_EQ(sided_samples(&sided), status == OBS_OK ? 3 + sided_samples(&from) : 3);
        encoded_t what_is_left = encode(&sided);
        free(what_is_left.bytes);
        sided_free(&sided);
        if (is_armed)
            break;
    }
    free(encoded.bytes);
    sided_free(&from);
    obs_cuts_free(&cuts);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(counts_each_value_where_it_belongs);
    RUN(what_is_empty_takes_few_bytes);
    RUN(merging_is_free_of_order);
    RUN(categories_merge_to_the_same_bytes);
    RUN(a_part_that_missed_values_is_given_up_in_any_order);
    RUN(who_wants_no_parts_keeps_the_counts);
    RUN(more_samples_than_64_bits_count_are_refused);
    RUN(reads_nothing_outside_of_mutilated_bytes);
    RUN(refuses_parts_that_contradict);
    RUN(survives_each_failed_allocation);
    return 0;
}

/* column_codec.c: the payload of a column, see column.h. */
#include "column.h"

#include <string.h>

#include "varint.h"

#define GIVEN_UP_SHIFT 4
#define KNOWN_FLAGS (OBS_COLUMN_PARTS | OBS_COLUMN_PARTS << GIVEN_UP_SHIFT)

/* Reading ----------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *bytes;
    size_t size;
} piece_t;

/* Extras, taken apart: bytes is NULL of a part that is not there. */
typedef struct {
    uint8_t given_up;
    uint64_t category_count;
    piece_t moments, edges, topk, hll;
} extras_t;

/* Bytes behind their size. */
static int read_piece(const uint8_t **cursor, const uint8_t *end, piece_t *piece)
{
    uint64_t size;
    int status = obs_varint_get(cursor, end, &size);
    if (status != OBS_OK)
        return status;
    if (size > (size_t)(end - *cursor))
        return OBS_ERR_CORRUPT;
    *piece = (piece_t){*cursor, (size_t)size};
    *cursor += size;
    return OBS_OK;
}

static int read_part(const uint8_t **cursor, const uint8_t *end, int is_there, piece_t *piece)
{
    *piece = (piece_t){0};
    return is_there ? read_piece(cursor, end, piece) : OBS_OK;
}

static int read_extras(const uint8_t *bytes, size_t size, extras_t *extras)
{
    const uint8_t *end = bytes + size;
    if (size == 0)
        return OBS_ERR_CORRUPT;
    uint8_t flags = *bytes++, parts = flags & OBS_COLUMN_PARTS;
    if (flags & ~KNOWN_FLAGS)
        return OBS_ERR_VERSION;
    extras->given_up = flags >> GIVEN_UP_SHIFT;
    if (extras->given_up & parts)
        return OBS_ERR_CORRUPT;
    int status = obs_varint_get(&bytes, end, &extras->category_count);
    if (status == OBS_OK)
        status = read_piece(&bytes, end, &extras->moments);
    if (status == OBS_OK)
        status = read_part(&bytes, end, parts & OBS_COLUMN_EDGES, &extras->edges);
    if (status == OBS_OK)
        status = read_part(&bytes, end, parts & OBS_COLUMN_TOPK, &extras->topk);
    if (status == OBS_OK)
        status = read_part(&bytes, end, parts & OBS_COLUMN_HLL, &extras->hll);
    return status == OBS_OK && bytes != end ? OBS_ERR_CORRUPT : status;
}

int obs_column_open(const uint8_t *payload, size_t size, obs_column_content_t *content)
{
    const uint8_t *end = payload + size;
    piece_t hist;
    int status = read_piece(&payload, end, &hist);
    if (status == OBS_OK)
        *content = (obs_column_content_t){hist.bytes, hist.size, payload, (size_t)(end - payload)};
    return status;
}

/* Adds to samples under the rule that all of them stay below 2^64. */
static int add_samples(uint64_t *samples, uint64_t more)
{
    if (more > UINT64_MAX - *samples)
        return OBS_ERR_CORRUPT;
    *samples += more;
    return OBS_OK;
}

/* Checks a part that holds samples of its own, as many as there should be. */
static int check_counted(int (*check)(const uint8_t *, size_t, uint64_t *), const piece_t *part, uint64_t expected)
{
    uint64_t samples;
    if (part->bytes == NULL)
        return OBS_OK;
    int status = check(part->bytes, part->size, &samples);
    return status == OBS_OK && samples != expected ? OBS_ERR_CORRUPT : status;
}

static int check_hll(const piece_t *part)
{
    uint32_t p;
    if (part->bytes == NULL)
        return OBS_OK;
    int status = obs_hll_check(part->bytes, part->size, &p);
    return status == OBS_OK && p != OBS_HLL_DEFAULT_P ? OBS_ERR_CORRUPT : status;
}

static int check_parts(const extras_t *extras, const obs_moments_t *moments)
{
    int status = check_counted(obs_edges_check, &extras->edges, moments->count + extras->category_count);
    if (status == OBS_OK)
        status = check_counted(obs_topk_check, &extras->topk, extras->category_count);
    return status == OBS_OK ? check_hll(&extras->hll) : status;
}

/* Takes extras apart and checks everything in them. */
static int check_extras(const uint8_t *bytes, size_t size, extras_t *extras, obs_moments_t *moments)
{
    int status = read_extras(bytes, size, extras);
    if (status == OBS_OK)
        status = obs_moments_decode(extras->moments.bytes, extras->moments.size, moments);
    if (status != OBS_OK)
        return status;
    uint64_t samples = obs_moments_samples(moments);
    status = add_samples(&samples, extras->category_count);
    return status == OBS_OK ? check_parts(extras, moments) : status;
}

/* Checking and merging --------------------------------------------------------------------------------- */

/* The parts, decoded, but for those in skipped. One that is missing then, or for want of memory, is given up by a
 * merge. */
typedef struct {
    obs_edges_t edges;
    obs_topk_t topk;
    obs_hll_t hll;
} parts_t;

static void decode_parts(const extras_t *extras, uint8_t skipped, parts_t *parts, obs_column_t *column)
{
    const piece_t *edges = &extras->edges, *topk = &extras->topk, *hll = &extras->hll;
    int wants_edges = edges->bytes != NULL && !(skipped & OBS_COLUMN_EDGES);
    int wants_topk = topk->bytes != NULL && !(skipped & OBS_COLUMN_TOPK);
    int wants_hll = hll->bytes != NULL && !(skipped & OBS_COLUMN_HLL);
    if (wants_edges && obs_edges_decode(edges->bytes, edges->size, &parts->edges) == OBS_OK)
        column->edges = &parts->edges;
    if (wants_topk && obs_topk_decode(topk->bytes, topk->size, &parts->topk) == OBS_OK)
        column->topk = &parts->topk;
    if (wants_hll && obs_hll_decode(hll->bytes, hll->size, &parts->hll) == OBS_OK)
        column->hll = &parts->hll;
    if (wants_edges && column->edges == NULL)
        column->given_up |= OBS_COLUMN_EDGES;
}

static void free_parts(obs_column_t *column)
{
    if (column->edges != NULL)
        obs_edges_free(column->edges);
    if (column->topk != NULL)
        obs_topk_free(column->topk);
    if (column->hll != NULL)
        obs_hll_free(column->hll);
}

/* Reads all but the parts, and checks everything. */
static int check_payload(const uint8_t *payload, size_t size, obs_column_content_t *content, extras_t *extras,
                         obs_column_t *column)
{
    uint64_t numbers = 0;
    obs_column_init(column, 0);
    int status = obs_column_open(payload, size, content);
    if (status == OBS_OK)
        status = obs_loghist_check(content->hist, content->hist_size, &numbers);
    if (status == OBS_OK)
        status = check_extras(content->extras, content->extras_size, extras, &column->moments);
    if (status != OBS_OK)
        return status;
    column->category_count = extras->category_count;
    column->given_up = extras->given_up;
    return obs_column_numbers(column) == numbers ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_column_check(const uint8_t *payload, size_t size, uint64_t *samples)
{
    obs_column_content_t content;
    extras_t extras;
    obs_column_t column;
    int status = check_payload(payload, size, &content, &extras, &column);
    if (status == OBS_OK && samples != NULL)
        *samples = obs_column_samples(&column);
    return status;
}

int obs_column_merge_encoded(obs_loghist_t *hist, obs_column_t *into, const uint8_t *payload, size_t size)
{
    obs_column_content_t content;
    extras_t extras;
    obs_column_t from;
    parts_t parts;
    int status = check_payload(payload, size, &content, &extras, &from);
    if (status == OBS_OK && obs_column_samples(&from) > UINT64_MAX - obs_column_samples(into))
        status = OBS_ERR_RANGE;
    if (status == OBS_OK)
        status = obs_loghist_merge_encoded(hist, content.hist, content.hist_size);
    if (status != OBS_OK)
        return status;
    decode_parts(&extras, into->given_up, &parts, &from);
    status = obs_column_merge(into, &from);
    free_parts(&from);
    return status;
}

/* Writing ----------------------------------------------------------------------------------------------- */

/* What the parts take at most, sizes included. */
static size_t parts_bound(const obs_column_t *column)
{
    size_t bound = column->edges == NULL ? 0 : OBS_VARINT_MAX_SIZE + obs_edges_encoded_bound(column->edges);
    bound += column->topk == NULL ? 0 : OBS_VARINT_MAX_SIZE + obs_topk_encoded_bound(column->topk);
    return bound + (column->hll == NULL ? 0 : OBS_VARINT_MAX_SIZE + obs_hll_encoded_bound(column->hll));
}

size_t obs_column_encoded_bound(const obs_loghist_t *hist, const obs_column_t *column)
{
    size_t extras = 1 + 2 * OBS_VARINT_MAX_SIZE + OBS_MOMENTS_ENCODED_MAX + parts_bound(column);
    return OBS_VARINT_MAX_SIZE + obs_loghist_encoded_bound(hist) + extras;
}

/* A piece was encoded at *at + OBS_VARINT_MAX_SIZE: puts its size before it and moves it up to that. */
static void close_piece(uint8_t **at, size_t size)
{
    uint8_t *piece = *at + OBS_VARINT_MAX_SIZE;
    *at += obs_varint_put(*at, size);
    memmove(*at, piece, size);
    *at += size;
}

/* Each kernel's encoding as a piece; nothing of a part that is not there. */
#define DEFINE_PUT(kernel, type, bound)                                                                                \
    static int put_##kernel(uint8_t **at, const type *what)                                                            \
    {                                                                                                                  \
        size_t size;                                                                                                   \
        if (what == NULL)                                                                                              \
            return OBS_OK;                                                                                             \
        int status = obs_##kernel##_encode(what, *at + OBS_VARINT_MAX_SIZE, bound, &size);                             \
        if (status == OBS_OK)                                                                                          \
            close_piece(at, size);                                                                                     \
        return status;                                                                                                 \
    }
DEFINE_PUT(loghist, obs_loghist_t, obs_loghist_encoded_bound(what))
DEFINE_PUT(moments, obs_moments_t, OBS_MOMENTS_ENCODED_MAX)
DEFINE_PUT(edges, obs_edges_t, obs_edges_encoded_bound(what))
DEFINE_PUT(topk, obs_topk_t, obs_topk_encoded_bound(what))
DEFINE_PUT(hll, obs_hll_t, obs_hll_encoded_bound(what))
#undef DEFINE_PUT

static uint8_t flags_of(const obs_column_t *column)
{
    int flags = column->given_up << GIVEN_UP_SHIFT;
    flags |= column->edges == NULL ? 0 : OBS_COLUMN_EDGES;
    flags |= column->topk == NULL ? 0 : OBS_COLUMN_TOPK;
    return (uint8_t)(flags | (column->hll == NULL ? 0 : OBS_COLUMN_HLL));
}

int obs_column_encode(const obs_loghist_t *hist, const obs_column_t *column, uint8_t *out, size_t capacity,
                      size_t *size)
{
    if (capacity < obs_column_encoded_bound(hist, column))
        return OBS_ERR_FULL;
    uint8_t *at = out;
    int status = put_loghist(&at, hist);
    if (status != OBS_OK)
        return status;
    *at++ = flags_of(column);
    at += obs_varint_put(at, column->category_count);
    status = put_moments(&at, &column->moments);
    if (status == OBS_OK)
        status = put_edges(&at, column->edges);
    if (status == OBS_OK)
        status = put_topk(&at, column->topk);
    if (status == OBS_OK)
        status = put_hll(&at, column->hll);
    if (status == OBS_OK)
        *size = (size_t)(at - out);
    return status;
}

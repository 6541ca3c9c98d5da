/* moments_codec.c: the compact form.
 *
 *     moments  := count, null_count, nan_count, positive_infinity_count, negative_infinity_count,
 *                 wrong_type_count (varints), contents if count > 0
 *     contents := mean, m2, m3, m4, min, max (f64, little-endian)
 *
 * Bytes that break an invariant of moments.h, hold -0.0 or write NaN in another way than as 0x7ff8000000000000 are
 * refused: there is one way to write moments.
 */
#include <float.h>
#include <math.h>

#include "moments.h"
#include "obs_port.h"
#include "varint.h"

enum { CONTENTS = 6 };

#define NAN_BITS UINT64_C(0x7ff8000000000000)

int obs_moments_encode(const obs_moments_t *moments, uint8_t *out, size_t capacity, size_t *size)
{
    if (capacity < OBS_MOMENTS_ENCODED_MAX)
        return OBS_ERR_FULL;
    uint8_t *at = out;
    at += obs_varint_put(at, moments->count);
    at += obs_varint_put(at, moments->null_count);
    at += obs_varint_put(at, moments->nan_count);
    at += obs_varint_put(at, moments->positive_infinity_count);
    at += obs_varint_put(at, moments->negative_infinity_count);
    at += obs_varint_put(at, moments->wrong_type_count);
    if (moments->count > 0) {
        const double contents[CONTENTS] = {moments->mean, moments->m2,  moments->m3,
                                           moments->m4,   moments->min, moments->max};
        for (size_t i = 0; i < CONTENTS; i++, at += sizeof contents[0])
            if (isnan(contents[i]))
                obs_store_u64(at, NAN_BITS);
            else
                obs_store_f64(at, contents[i]);
    }
    *size = (size_t)(at - out);
    return OBS_OK;
}

static int is_negative_zero(double value)
{
    return value == 0 && signbit(value);
}

static int keeps_invariants(const obs_moments_t *moments, uint64_t m3_bits)
{
    if (is_negative_zero(moments->mean) || is_negative_zero(moments->m2) || is_negative_zero(moments->m3) ||
        is_negative_zero(moments->m4) || is_negative_zero(moments->min) || is_negative_zero(moments->max))
        return 0;
    if (!(moments->min >= -DBL_MAX && moments->min <= moments->mean && moments->mean <= moments->max &&
          moments->max <= DBL_MAX && moments->m2 >= 0 && moments->m4 >= 0))
        return 0;
    if (!isfinite(moments->m3) && m3_bits != NAN_BITS)
        return 0;
    if (moments->min < moments->max)
        return moments->count > 1;
    return moments->m2 == 0 && moments->m3 == 0 && moments->m4 == 0;
}

static int read_contents(const uint8_t **cursor, const uint8_t *end, obs_moments_t *moments)
{
    double contents[CONTENTS];
    if ((size_t)(end - *cursor) < sizeof contents)
        return OBS_ERR_CORRUPT;
    for (size_t i = 0; i < CONTENTS; i++)
        contents[i] = obs_load_f64(*cursor + i * sizeof contents[0]);
    moments->mean = contents[0];
    moments->m2 = contents[1];
    moments->m3 = contents[2];
    moments->m4 = contents[3];
    moments->min = contents[4];
    moments->max = contents[5];
    uint64_t m3_bits = obs_load_u64(*cursor + 2 * sizeof contents[0]);
    *cursor += sizeof contents;
    return keeps_invariants(moments, m3_bits) ? OBS_OK : OBS_ERR_CORRUPT;
}

/* The six counts, together below 2^64. */
static int read_counts(const uint8_t **cursor, const uint8_t *end, obs_moments_t *moments)
{
    uint64_t *counts[] = {&moments->count,
                          &moments->null_count,
                          &moments->nan_count,
                          &moments->positive_infinity_count,
                          &moments->negative_infinity_count,
                          &moments->wrong_type_count};
    uint64_t samples = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (obs_varint_get(cursor, end, counts[i]) != OBS_OK || *counts[i] > UINT64_MAX - samples)
            return OBS_ERR_CORRUPT;
        samples += *counts[i];
    }
    return OBS_OK;
}

int obs_moments_decode(const uint8_t *bytes, size_t size, obs_moments_t *out)
{
    obs_moments_t moments;
    const uint8_t *end = bytes + size;
    obs_moments_init(&moments);
    int status = read_counts(&bytes, end, &moments);
    if (status == OBS_OK && moments.count > 0)
        status = read_contents(&bytes, end, &moments);
    if (status != OBS_OK || bytes != end)
        return OBS_ERR_CORRUPT;
    *out = moments;
    return OBS_OK;
}

int obs_moments_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    obs_moments_t moments;
    int status = obs_moments_decode(bytes, size, &moments);
    if (status == OBS_OK && samples != NULL)
        *samples = obs_moments_samples(&moments);
    return status;
}

int obs_moments_merge_encoded(obs_moments_t *into, const uint8_t *bytes, size_t size)
{
    obs_moments_t from;
    int status = obs_moments_decode(bytes, size, &from);
    return status == OBS_OK ? obs_moments_merge(into, &from) : status;
}

/* loghist_codec.h: the compact form of a histogram. Private to loghist*.c.
 *
 * Encoding
 *
 *   loghist  := u8 format = 1, u8 head, varint count,
 *               [count > 0:    f64 sum, f64 min, f64 max]
 *               [ZERO:         varint zero_count]
 *               [NONFINITE:    varint nan_count, varint positive_infinity_count, varint negative_infinity_count]
 *               [POSITIVE:     range]
 *               [NEGATIVE:     range]
 *   head     := scale in bits 0..3; ZERO, NONFINITE, POSITIVE, NEGATIVE in bits 4..7
 *   range    := varint zigzag(number of the first page), varint page_count, page * page_count
 *   page     := varint (gap * 8 + form), [sparse form: u64 bitmap], fields, varint excess for each escaped field
 *   form     := width code in bits 0..1, bit 2 set: dense
 *
 * Numbers are little-endian. A page stands for 64 neighbouring buckets, and its gap for the empty pages since
 * the one before (0 for the first page), so that far outliers cost a page and not a distance. Fields are 1 <<
 * code bits wide (1, 2, 4 or 8), lowest bits first; the last byte is filled up with zeros.
 *
 *   sparse   bit i of the bitmap says that bucket 64 * page + i is occupied; each occupied bucket has a
 *            field, which holds count - 1
 *   dense    no bitmap, 64 fields, which hold counts: shorter and faster where most buckets are occupied
 *
 * All ones in a field are an escape: the count is then what the field says plus its excess. So a small window
 * costs two to four bits a bucket.
 *
 * Whatever could be said in two ways is refused: a flag without its counts, an empty page, fill that is not
 * zero, -0.0, a minimum or maximum outside the outermost buckets. What the check accepts, decoding and
 * encoding gives back, count for count and bit for bit (forms aside: they are the encoder's choice).
 */
#ifndef OBS_LOGHIST_CODEC_H
#define OBS_LOGHIST_CODEC_H

#include "loghist.h"
#include "loghist_range.h"

#define OBS_LOGHIST_FORMAT 1

#define OBS_LOGHIST_HEAD_SCALE 0x0fu
#define OBS_LOGHIST_HEAD_ZERO 0x10u
#define OBS_LOGHIST_HEAD_NONFINITE 0x20u
#define OBS_LOGHIST_HEAD_POSITIVE 0x40u
#define OBS_LOGHIST_HEAD_NEGATIVE 0x80u

#define OBS_LOGHIST_FORM_BITS 3
#define OBS_LOGHIST_FORM_WIDTH 3u /* mask of the width code */
#define OBS_LOGHIST_FORM_DENSE 4u
#define OBS_LOGHIST_FORMS 8u

/* The greatest field, which is the escape. */
static inline uint32_t obs_fields_escape(unsigned width_code)
{
    return (1u << (1u << width_code)) - 1;
}

static inline size_t obs_fields_size(unsigned width_code, unsigned field_count)
{
    return (((size_t)field_count << width_code) + 7) / 8;
}

static inline uint32_t obs_fields_get(const uint8_t *fields, unsigned width_code, unsigned field_index)
{
    unsigned bit = field_index << width_code;
    return (uint32_t)(fields[bit / 8] >> (bit % 8)) & obs_fields_escape(width_code);
}

/* Sum of all the fields of a word: neighbours are added up in parallel, in fields twice as wide each time.
 * Widths change from page to page unpredictably, so they choose between results and not between branches. */
static inline uint32_t obs_fields_sum(uint64_t word, unsigned width_code)
{
    const uint64_t pairs = UINT64_C(0x5555555555555555), nibbles = UINT64_C(0x3333333333333333);
    const uint64_t bytes = UINT64_C(0x0f0f0f0f0f0f0f0f), halves = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t in_pairs = (word & pairs) + ((word >> 1) & pairs);
    word = width_code == 0 ? in_pairs : word;
    uint64_t in_nibbles = (word & nibbles) + ((word >> 2) & nibbles);
    word = width_code <= 1 ? in_nibbles : word;
    uint64_t in_bytes = (word & bytes) + ((word >> 4) & bytes);
    word = width_code <= 2 ? in_bytes : word;
    word = (word & halves) + ((word >> 8) & halves);
    return (uint32_t)((word * UINT64_C(0x0001000100010001)) >> 48);
}

static inline unsigned obs_bits_set(uint64_t word)
{
    return obs_fields_sum(word, 0);
}

/* How many fields of a word are escapes: all ones survive being anded with their own shifts. */
static inline unsigned obs_fields_escaped(uint64_t word, unsigned width_code)
{
    uint64_t two = word & (word >> 1), four = two & (two >> 2), eight = four & (four >> 4);
    uint64_t escapes = width_code == 0 ? word : two & UINT64_C(0x5555555555555555);
    escapes = width_code <= 1 ? escapes : four & UINT64_C(0x1111111111111111);
    escapes = width_code <= 2 ? escapes : eight & UINT64_C(0x0101010101010101);
    return obs_bits_set(escapes);
}

/* Eight fields, packed in the low bits of a word, become its eight bytes: each step halves the distance that
 * the upper half of every group has to go. Bits above the eight fields are dropped. */
static inline uint64_t obs_fields_spread(uint64_t word, unsigned width_code)
{
    unsigned width = 1u << width_code;
    uint64_t four = (UINT64_C(1) << (4 * width)) - 1, two = (UINT64_C(1) << (2 * width)) - 1;
    uint64_t one = (UINT64_C(1) << width) - 1;
    word = (word & four) | (((word >> (4 * width)) & four) << 32);
    word = (word | (word << (16 - 2 * width))) & (two * UINT64_C(0x0001000100010001));
    return (word | (word << (8 - width))) & (one * UINT64_C(0x0101010101010101));
}

/* The inverse: eight bytes, none above the escape, become eight fields in the low bits. */
static inline uint64_t obs_fields_squeeze(uint64_t word, unsigned width_code)
{
    unsigned width = 1u << width_code;
    uint64_t four = (UINT64_C(1) << (4 * width)) - 1, two = (UINT64_C(1) << (2 * width)) - 1;
    word = (word | (word >> (8 - width))) & (two * UINT64_C(0x0001000100010001));
    word = (word | (word >> (16 - 2 * width))) & (four * UINT64_C(0x0000000100000001));
    return (word & four) | ((word >> 32) << (4 * width));
}

#endif

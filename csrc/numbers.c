#include "numbers.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* IEEE 754 binary16: 1 sign bit, 5 bits of exponent (bias 15), 10 of mantissa. */
static double half_to_double(uint16_t half)
{
    int exponent = half >> 10 & 31;
    double mantissa = half & 1023;
    double magnitude;
    if (exponent == 31)
        magnitude = mantissa == 0 ? INFINITY : NAN;
    else if (exponent == 0)
        magnitude = ldexp(mantissa, -24);
    else
        magnitude = ldexp(mantissa + 1024, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* The letter whose C type has the standard size; 0 if there is none. */
static char native_letter(char order, char letter)
{
    if (order == '@')
        return letter;
    switch (letter) {
    case 'l':
        return 'i';
    case 'L':
        return 'I';
    case 'n': /* exist in native sizes alone */
    case 'N':
    case 'g':
        return 0;
    default:
        return letter;
    }
}

static bool is_foreign(char order)
{
    return order == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<') ||
           (order == '!' && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

static void reverse(void *item, size_t size)
{
    char *bytes = item;
    for (size_t i = 0; i < size / 2; i++) {
        char byte = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = byte;
    }
}

/* The one list of formats: letter, type, conversion of one item. */
#define FORMATS(ROW)                                                                                                   \
    ROW('d', double, item)                                                                                             \
    ROW('f', float, (double)item)                                                                                      \
    ROW('e', uint16_t, half_to_double(item))                                                                           \
    ROW('g', long double, (double)item)                                                                                \
    ROW('?', uint8_t, item != 0)                                                                                       \
    ROW('b', int8_t, item)                                                                                             \
    ROW('B', uint8_t, item)                                                                                            \
    ROW('h', short, item)                                                                                              \
    ROW('H', unsigned short, item)                                                                                     \
    ROW('i', int, item)                                                                                                \
    ROW('I', unsigned, item)                                                                                           \
    ROW('l', long, (double)item)                                                                                       \
    ROW('L', unsigned long, (double)item)                                                                              \
    ROW('q', long long, (double)item)                                                                                  \
    ROW('Q', unsigned long long, (double)item)                                                                         \
    ROW('n', ptrdiff_t, (double)item)                                                                                  \
    ROW('N', size_t, (double)item)

size_t obs_numbers_size(char order, char letter)
{
    switch (native_letter(order, letter)) {
#define SIZE(letter, type, conversion)                                                                                 \
    case letter:                                                                                                       \
        return sizeof(type);
        FORMATS(SIZE)
#undef SIZE
    default:
        return 0;
    }
}

void obs_numbers_read(char order, char letter, const void *source, size_t count, double *out)
{
    const char *bytes = source;
    bool swapped = is_foreign(order);
    switch (native_letter(order, letter)) {
#define READ(letter, type, conversion)                                                                                 \
    case letter:                                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                           \
            type item;                                                                                                 \
            memcpy(&item, bytes + i * sizeof item, sizeof item);                                                       \
            if (swapped)                                                                                               \
                reverse(&item, sizeof item);                                                                           \
            out[i] = conversion;                                                                                       \
        }                                                                                                              \
        break;
        FORMATS(READ)
#undef READ
    default:
        break;
    }
}
